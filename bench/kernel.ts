/**
 * The TypeScript kernel beside ipykernel, tslab and Deno's, in one run: start to the first cell's idle; a cell `1` and a 60-line cell
 * in turns; growth after 500 cells, completion and inspection, 20,000 printed lines, interrupts. bench/kernel.py asks through
 * jupyter_client; docs/kernel.md holds the table.
 *   npx tsx bench/kernel.ts [starts = 10] [cells = 100]
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PYTHON = join(ROOT, '.venv/bin/python')
const [starts = '10', cells = '100'] = process.argv.slice(2)

interface Spread {
  median: number
  p95: number
  n: number
}

type Measured = Spread | null

interface Result {
  start: Measured
  // A kernel that dies leaves the rest out.
  /** Cells of all kernels in turns. */
  first: Measured
  short: Measured
  long: Measured
  /** The first kernel's to this one's, cell by cell. */
  ratios: Record<'first' | 'short' | 'long', Measured>
  aged?: Measured
  /** Ratios: the kernel that has run 500 cells, to a fresh one, cell by cell in turns. */
  growth?: Measured
  /** A cell through an encrypted connection, and its ratio to one that is not, in turns; absent: the kernel has none. */
  encrypted?: Measured
  encryption?: Measured
  complete?: Measured
  inspect?: Measured
  completeBusy?: Measured
  inspectBusy?: Measured
  lines?: number
  linesMs?: number | null
  interrupts: Record<string, Measured>
}

const ROWS: [string, (result: Result) => string][] = [
  ['start to the first cell’s idle, ms', ({ start }) => spread(start)],
  ['cell `1`, the first 30 after a start, ms', ({ first }) => spread(first)],
  ['zslab’s to it, cell by cell', ({ ratios }) => spread(ratios.first, 2)],
  ['cell `1`, warm, ms', ({ short }) => spread(short)],
  ['zslab’s to it, cell by cell', ({ ratios }) => spread(ratios.short, 2)],
  ['60-line cell, warm, ms', ({ long }) => spread(long)],
  ['zslab’s to it, cell by cell', ({ ratios }) => spread(ratios.long, 2)],
  ['cell `1` after 500 cells, ms', ({ aged }) => spread(aged)],
  ['the same to a fresh kernel, in turns', ({ growth }) => spread(growth, 2)],
  ['cell `1`, encrypted connection, ms', ({ encrypted }) => (encrypted === undefined ? 'has none' : spread(encrypted))],
  [
    'the same to one in plain text, in turns',
    ({ encryption }) => (encryption === undefined ? 'has none' : spread(encryption, 2)),
  ],
  ['completion, ms', ({ complete }) => spread(complete)],
  ['inspection, ms', ({ inspect }) => spread(inspect)],
  ['completion during a busy cell, ms', ({ completeBusy }) => spread(completeBusy)],
  ['inspection during a busy cell, ms', ({ inspectBusy }) => spread(inspectBusy)],
  [
    '20,000 printed lines',
    ({ lines = 0, linesMs }) => `${lines} lines, ${linesMs ? `${linesMs.toFixed(0)} ms` : 'never idle'}`,
  ],
  ...['a synchronous loop', 'a loop after an await', 'a pending await', 'a sleeping child', 'input'].map(
    (one): (typeof ROWS)[number] => [`interrupt of ${one}, ms`, ({ interrupts }) => spread(interrupts[one])],
  ),
]

function spread(of: Measured | undefined, digits = 1): string {
  return of ? `${of.median.toFixed(digits)} (p95 ${of.p95.toFixed(digits)}, n ${of.n})` : 'no answer'
}

function main(): void {
  if (!existsSync(PYTHON)) throw new Error('Jupyter is not here: `npm start` installs it into .venv')
  const folder = mkdtempSync(join(tmpdir(), 'bench-kernel-'))
  try {
    const kernels = install(folder)
    const results = Object.entries(measure(folder, kernels))
    const line = (cells: string[]) => `| ${cells.join(' | ')} |`
    console.log(line(['', ...results.map(([name]) => name)]))
    console.log(line(['---', ...results.map(() => '---')]))
    for (const [title, of] of ROWS) console.log(line([title, ...results.map(([, one]) => of(one))]))
    console.log(
      `\nload ${loadavg()[0].toFixed(1)} at the end; Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Kernelspecs in a folder of their own → names and dialects. */
function install(folder: string): [name: string, dialect: string][] {
  const main = join(ROOT, 'dist/kernel/main.js')
  const own = spawnSync(process.execPath, [main, 'install', '--prefix', folder], { encoding: 'utf8' })
  if (own.status !== 0) throw new Error(own.stderr)
  const tslab = join(dirname(createRequire(import.meta.url).resolve('tslab/package.json')), 'bin/tslab')
  spec(folder, 'bench-tslab', [process.execPath, tslab, 'kernel', '--config-path={connection_file}'], 'typescript')
  spec(folder, 'bench-ipykernel', [PYTHON, '-m', 'ipykernel_launcher', '-f', '{connection_file}'], 'python')
  const deno = join(ROOT, 'bench/node_modules/@deno/linux-x64-glibc/deno')
  if (existsSync(deno))
    spec(folder, 'bench-deno', [deno, 'jupyter', '--kernel', '--conn', '{connection_file}'], 'typescript')
  return [
    ['zslab', 'typescript'],
    ['bench-ipykernel', 'python'],
    ['bench-tslab', 'typescript'],
    ...(existsSync(deno) ? [['bench-deno', 'typescript'] as [string, string]] : []),
  ]
}

function spec(folder: string, name: string, argv: string[], language: string): void {
  const place = join(folder, 'share/jupyter/kernels', name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'kernel.json'), JSON.stringify({ argv, display_name: name, language }))
}

function measure(folder: string, kernels: [name: string, dialect: string][]): Record<string, Result> {
  const env = {
    ...process.env,
    JUPYTER_PATH: join(folder, 'share/jupyter'),
    JUPYTER_RUNTIME_DIR: folder,
    IPYTHONDIR: join(folder, 'ipython'),
    DENO_DIR: join(folder, 'deno'),
    DENO_NO_UPDATE_CHECK: '1',
    ZSLAB_HISTORY: join(folder, 'history.sqlite'),
  }
  const words = [join(ROOT, 'bench/kernel.py'), starts, cells, ...kernels.map((one) => one.join('='))]
  const { status, stdout, stderr } = spawnSync(PYTHON, words, { encoding: 'utf8', cwd: ROOT, env })
  if (status !== 0) throw new Error(`the measurement failed:\n${stderr.split('\n').slice(-8).join('\n')}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, Result>
}

main()
