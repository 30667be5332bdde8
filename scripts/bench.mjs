/**
 * Builds and runs the benches: native/bench/*.cpp (programs, in build/bench) and bench/*.ts. `npm run bench [NAME …]`; without names
 * all of them. What follows `model` is handed to it: its rows and options (bench/model.ts). What a bench compares with
 * (bench/package.json) is installed the first time a bench/*.ts runs, never with zslab itself; where it cannot be had a line says so
 * and our own figures are printed alone. Exit status 1 if a bench failed.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildTargets, builtEngine, CMakeFailure } from './cmake.mjs'
import { output } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const FOLDER = join(ROOT, 'build/bench')
const PEERS = join(ROOT, 'bench')
const say = (line) => console.log(`bench: ${line}`)

class Failure extends Error {}

const native = named('native/bench', '.cpp').filter((name) => name !== 'bench')
/** What some of them share, or what a person runs. */
const NO_BENCHES = ['make-bench-model', 'text']
/** The bench that takes words of its own, and the program that it asks. */
const [MODEL, CEILING] = ['model', 'ceiling']
const typescript = named('bench', '.ts').filter((name) => !NO_BENCHES.includes(name))
const given = process.argv.slice(2)
const asked = given.includes(MODEL) ? given.slice(0, given.indexOf(MODEL) + 1) : given
const words = given.slice(asked.length)
try {
  const unknown = asked.find((name) => !native.includes(name) && !typescript.includes(name))
  if (unknown) throw new Failure(`there is no bench ${unknown}; there are ${[...native, ...typescript].join(', ')}`)
  const chosen = (names) => names.filter((name) => !asked.length || asked.includes(name))
  const [programs, scripts] = [chosen(native), chosen(typescript)]
  const busy = loadavg()[0]
  if (busy > 0.5) say(`this machine is busy (load ${busy.toFixed(1)}): trust ratios, and run again in a quiet minute`)
  const needed = scripts.includes(MODEL) ? [CEILING] : []
  if (programs.length + needed.length) await build([...new Set([...programs, ...needed])])
  for (const name of programs) await one(name, join(FOLDER, `bench_${name}`), [])
  const peers = scripts.length ? await installPeers() : undefined
  if (scripts.length) await ok('the project itself', process.execPath, ['scripts/build.mjs'])
  for (const name of scripts) {
    const file = join(PEERS, `${name}.ts`)
    await one(name, process.execPath, ['--expose-gc', '--import=tsx', file, ...(name === MODEL ? words : [])], {
      ZSLAB_BENCH_PEERS: peers ?? '',
    })
  }
} catch (error) {
  if (!(error instanceof Failure || error instanceof CMakeFailure)) throw error
  console.error(`bench: ${error.message}`)
  process.exitCode = 1
}

function named(folder, ending) {
  const path = join(ROOT, folder)
  if (!existsSync(path)) return []
  return readdirSync(path)
    .filter((name) => name.endsWith(ending))
    .map((name) => basename(name, ending))
    .sort()
}

/** With the engine as it is built for the addon; only the programs asked for. */
async function build(programs) {
  const settings = { ...(await builtEngine(ROOT)), ZSLAB_BENCH: 'ON' }
  const targets = programs.map((name) => `bench_${name}`)
  await buildTargets({ root: ROOT, folder: FOLDER, settings, targets, jobs: Math.min(8, availableParallelism()) })
}

/** undefined where the peers are there (installed now if need be); else why they are not. */
async function installPeers() {
  const wanted = JSON.parse(readFileSync(join(PEERS, 'package.json'), 'utf8')).dependencies
  const there = Object.entries(wanted).every(([name, version]) => {
    const path = join(PEERS, 'node_modules', name, 'package.json')
    return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).version === version
  })
  if (there) return undefined
  say('installing what the benches compare with (bench/package.json) …')
  const npm = process.env.npm_execpath
  const words = ['ci', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', PEERS]
  const { status, text } = npm ? await output(process.execPath, [npm, ...words]) : await output('npm', words)
  if (status === 0) return undefined
  const line = text.split('\n').find((one) => /error/i.test(one)) ?? 'npm ci failed'
  const why = line.replace(/^npm (error|ERR!)\s*/, '').slice(0, 160)
  say(
    `the peers cannot be had (${why}): our own figures stand alone; \`npm ci --omit=optional --prefix bench\` shows all`,
  )
  return why
}

async function ok(what, program, words) {
  const { status, text } = await output(program, words)
  if (status !== 0) throw new Failure(`${what} failed:\n${text.trimEnd().split('\n').slice(-20).join('\n')}`)
}

async function one(name, program, words, environment = {}) {
  console.log(`\n== ${name}`)
  const child = spawn(program, words, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...environment } })
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (status === 0) return
  process.exitCode = 1
  say(`${name} failed (${status === null ? 'ended by a signal' : `exit status ${status}`})`)
}
