/** What the scripts take from Python's package index without root: a `.venv` in the project, oneDNN, CMake. */
import { spawn, spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'

/** oneDNN 3.2 built with libgomp: library, headers and nothing else (newer wheels bring gigabytes). */
const ONEDNN = ['onednn-cpu-gomp==2023.2.0', 'onednn-devel-cpu-gomp==2023.2.0']

/** What tests open saved traces with; where it cannot be had (it needs Python 3.11) they are left out. */
export const READERS = ['pyarrow==26.0.1', 'pandas==3.1.1', 'polars==2.1.0', 'duckdb==2.0.1']

/** The absolute path of program `name`, from PATH; undefined where there is none. */
export function findTool(name) {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return statSync(path).isFile()
    } catch {
      return false
    }
  })
}

/** Makes `.venv` where it is missing. Returns undefined, or why it cannot. */
export async function venv(root) {
  const python = join(root, '.venv/bin/python')
  if (existsSync(python) && spawnSync(python, ['-m', 'pip', '--version']).status === 0) return undefined
  if (!findTool('python3')) return 'no python3'
  const old = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status !== 0
  if (old) return 'python3 is older than 3.9'
  const made = await output('python3', ['-m', 'venv', join(root, '.venv')])
  return made.status === 0 ? undefined : 'python3 cannot make virtual environments (`apt-get install python3-venv`)'
}

/**
 * Installs `packages` (pinned; with `dependencies` also what they depend on) into `.venv`. Returns undefined, or why it could
 * not.
 */
export async function pip(root, packages, { dependencies = false } = {}) {
  const failed = await venv(root)
  if (failed) return failed
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    ...(dependencies ? [] : ['--no-deps']),
    '--no-input',
    '--disable-pip-version-check',
    '--retries',
    '2',
    '--timeout',
    '20',
  ]
  const done = await output(join(root, '.venv/bin/python'), [...args, ...packages])
  if (done.status === 0) return undefined
  const line = done.text.split('\n').findLast((l) => l.startsWith('ERROR')) ?? 'pip failed'
  return line.replace(/^ERROR:\s*/, '').slice(0, 200)
}

/** Those of `packages` (`name==version`) that `.venv` does not hold in just that version. Starts no Python. */
export function missing(root, packages) {
  const lib = join(root, '.venv/lib')
  const folders = existsSync(lib) ? readdirSync(lib).map((name) => join(lib, name, 'site-packages')) : []
  return packages.filter((entry) => {
    const [name, version] = entry.split('==')
    const record = `${name.replace(/[-.]+/g, '_').toLowerCase()}-${version}.dist-info/RECORD`
    return !folders.some((folder) => existsSync(join(folder, record)))
  })
}

/** The version of Python in `.venv`, such as [3, 11]; undefined without one. */
export function venvVersion(root) {
  const file = join(root, '.venv/pyvenv.cfg')
  const found = existsSync(file) && /^version\s*=\s*(\d+)\.(\d+)/m.exec(readFileSync(file, 'utf8'))
  return found ? [Number(found[1]), Number(found[2])] : undefined
}

/** { path, version } of oneDNN in `.venv` (fetched where missing), or { reason, help }. */
export async function findOneDnn(root) {
  const path = join(root, '.venv')
  const header = join(path, 'include/oneapi/dnnl/dnnl_version.h')
  const library = () => ['libdnnl.so', 'libdnnl.dylib'].some((name) => existsSync(join(path, 'lib', name)))
  if (!existsSync(header) || !library()) {
    if (process.platform !== 'linux' || process.arch !== 'x64') return { reason: 'its package is for Linux on x64' }
    const failed = await pip(root, ONEDNN)
    const help = 'with Python ≥ 3.9, pip and a package index at hand run `npm run build` again'
    if (failed) return { reason: failed, help }
    linkCopies(join(path, 'lib'))
    if (!existsSync(header) || !library()) return { reason: 'its package lacks the library', help }
  }
  const text = readFileSync(header, 'utf8')
  const part = (name) => new RegExp(`DNNL_VERSION_${name}\\s+(\\d+)`).exec(text)?.[1] ?? '?'
  return { path, version: `${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}` }
}

/** The wheel holds the 54 MB library three times where a package would hold links. */
function linkCopies(folder) {
  const [real, ...copies] = ['libdnnl.so.3.2', 'libdnnl.so.3', 'libdnnl.so'].map((name) => join(folder, name))
  if (!existsSync(real)) return
  for (const copy of copies)
    if (existsSync(copy) && !lstatSync(copy).isSymbolicLink()) {
      rmSync(copy)
      symlinkSync('libdnnl.so.3.2', copy)
    }
}

/** Runs `command` → { status, text of both streams }. */
export function output(command, args, env = process.env) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
    child
      .on('error', (error) => resolve({ status: -1, text: String(error) }))
      .on('close', (status) => resolve({ status, text }))
  })
}
