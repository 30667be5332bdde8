/**
 * Builds zslab: the native part with cmake-js (build/), where there is an nvcc the library for GPUs (ZSLAB_CUDA=0: not), then the TypeScript part (dist/). Runs at `npm ci`, `npm run build` and
 * `npx zslab build`. Says in one line each what it found and what would help; does nothing when nothing changed.
 *   --force     build even if nothing changed        --portable  without oneDNN (also ZSLAB_PORTABLE=1)
 *   --native    only the native part                 --types     only the TypeScript part
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildCuda, findNvcc } from './cuda.mjs'
import { findOneDnn, findTool, pip } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BUILD = join(ROOT, 'build')
const LOG = join(BUILD, 'build.log')
const ADDON = join(BUILD, 'Release', 'zslab.node')
const FOR_GPUS = join(BUILD, 'Release', 'libzslab_cuda.so')
const JOBS = Math.max(1, Math.min(8, availableParallelism()))
const KNOWN = ['--force', '--portable', '--native', '--types']
const given = process.argv.slice(2)
/** This is the package as npm installed it, with dist/ ready made; otherwise a clone. */
const installed = !existsSync(join(ROOT, 'src'))
const say = (line) => console.log(`zslab: ${line}`)

class Failure extends Error {}

try {
  const wrong = given.find((word) => !KNOWN.includes(word))
  if (wrong) throw new Failure(`scripts/build.mjs has no option ${wrong}; it has ${KNOWN.join(', ')}`)
  checkPlatform()
  mkdirSync(BUILD, { recursive: true })
  if (!given.includes('--types')) {
    await buildNative()
    await buildForGpus()
  }
  if (!given.includes('--native')) {
    await buildTypes()
    await buildSnapshot()
  }
} catch (error) {
  if (!(error instanceof Failure)) throw error
  console.error(`zslab: ${error.message}`)
  // Who installs the package for its kernel need not have a compiler; `npx zslab doctor` repeats what is missing.
  if (installed && process.env.npm_lifecycle_event === 'install')
    say('the kernel works without the native part; `npx zslab build` builds it later')
  else process.exitCode = 1
}

function checkPlatform() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    throw new Failure(`Node ${process.versions.node} is too old: zslab needs 20.19 or newer (https://nodejs.org)`)
  if (process.platform === 'win32')
    throw new Failure('Windows is not supported: use Linux, or the Windows Subsystem for Linux')
  if (process.platform !== 'linux' || process.arch !== 'x64')
    say(
      `${process.platform} on ${process.arch} is untested (Linux on x64 is what the tests run on): trying the portable kernels`,
    )
}

// ---------------------------------------------------------------- native

async function buildNative() {
  const compiler = findCompiler()
  const portable = given.includes('--portable') || !['', '0', undefined].includes(process.env.ZSLAB_PORTABLE)
  const inputs = ['CMakeLists.txt', 'package.json', 'native', 'scripts/build.mjs', 'scripts/python.mjs']
  const stamp = fingerprint(inputs, [process.versions.modules, process.arch, compiler.path, compiler.version, portable])
  // A machine that had no oneDNN when it was built last is asked again: the network may be back.
  const complete = (last) => portable || last.oneDnn === '' || existsSync(last.oneDnn)
  if (fresh('native', stamp, [ADDON], complete)) return say('the native part is up to date')

  say(`compiler: ${compiler.name} ${compiler.version} (${compiler.path})`)
  const cmake = await findCMake()
  say(`cmake: ${cmake.version} (${cmake.path})`)
  const oneDnn = portable ? { reason: 'not asked for' } : await findOneDnn(ROOT)
  if (oneDnn.path) say(`oneDNN: ${oneDnn.version} (${oneDnn.path}): fast matrix products`)
  else
    say(
      `oneDNN: none (${oneDnn.reason}): portable matrix products, slower prefill${oneDnn.help ? `; ${oneDnn.help}` : ''}`,
    )

  writeFileSync(LOG, '')
  const cmakeJs = join(packageFolder('cmake-js'), 'bin/cmake-js')
  const common = [
    '-d',
    ROOT,
    '-O',
    BUILD,
    '-B',
    'Release',
    '-c',
    cmake.path,
    '-l',
    'warn',
    '-m',
    `--CDZSLAB_ONEDNN=${oneDnn.path ?? ''}`,
  ]
  const headers = `--CDNODE_ADDON_API_DIR=${packageFolder('node-addon-api')}`
  const env = { ...process.env, CXX: compiler.path, ...(compiler.c ? { CC: compiler.c } : {}) }
  const started = Date.now()
  say('compiling the native part (about a minute) …')
  forgetOtherCompiler(compiler.path)
  await logged([cmakeJs, 'configure', ...common, headers], env, 'CMake could not configure the native part')
  await logged([cmakeJs, 'build', ...common, headers, '-p', String(JOBS)], env, 'the native part does not compile')
  if (!existsSync(ADDON)) throw new Failure(`the build ended without ${ADDON}; its output is in ${LOG}`)
  remember('native', stamp, { oneDnn: oneDnn.path ?? '', compiler: `${compiler.name} ${compiler.version}` })
  say(`native part built in ${((Date.now() - started) / 1000).toFixed(0)} s`)
}

/** Never fails: whatever is wrong with an nvcc, zslab works on the CPU. */
async function buildForGpus() {
  const nvcc = process.env.ZSLAB_CUDA === '0' ? { why: 'ZSLAB_CUDA=0' } : findNvcc(ROOT)
  const sources = fingerprint(['CMakeLists.txt', 'native', 'scripts/cuda.mjs'], [])
  const last = stamps().cuda
  // One of other sources would not fit the engine.
  if (last?.sources !== sources) rmSync(FOR_GPUS, { force: true })
  const known = existsSync(FOR_GPUS) ? 'the library for GPUs stays as it was built' : 'sessions run on the CPU'
  if (!nvcc.path) {
    if (!existsSync(FOR_GPUS)) remember('cuda', '', { sources, why: nvcc.why })
    return say(`CUDA: ${nvcc.why}: ${known}`)
  }
  const compiler = findCompiler()
  const stamp = fingerprint([], [sources, nvcc, compiler.path, compiler.version])
  if (fresh('cuda', stamp, last?.why ? [] : [FOR_GPUS], () => true))
    return say(last.why ? `CUDA: not built: ${last.why}` : 'the library for GPUs is up to date')
  say(`CUDA: nvcc ${nvcc.version} (${nvcc.path}): compiling the library for GPUs (minutes) …`)
  const started = Date.now()
  const folder = join(BUILD, 'cuda')
  const tools = fingerprint([], [nvcc, compiler.path])
  if (last?.tools !== tools) rmSync(folder, { recursive: true, force: true })
  const cmake = (await findCMake()).path
  const built = join(BUILD, 'libzslab_static.a')
  const given = { nvcc: nvcc.path, cmake, compiler: compiler.path, built, jobs: JOBS }
  const why = await buildCuda({ root: ROOT, folder, library: FOR_GPUS, log: LOG, ...given })
  remember('cuda', stamp, { sources, tools, nvcc: nvcc.version, ...(why && { why }) })
  if (why) say(`CUDA: not built, sessions run on the CPU: ${why}`)
  else say(`library for GPUs built in ${((Date.now() - started) / 1000).toFixed(0)} s`)
}

/** Where npm put dependency `name`: beside an installed package, inside a clone. */
function packageFolder(name) {
  try {
    return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
  } catch {
    throw new Failure(`${name} is not installed: run \`npm ci\` in the project first`)
  }
}

/** CMake refuses to change the compiler of a build folder: a cache that names another one is removed first. */
function forgetOtherCompiler(path) {
  const cache = join(BUILD, 'CMakeCache.txt')
  if (!existsSync(cache)) return
  const text = readFileSync(cache, 'utf8')
  const used = /^CMAKE_CXX_COMPILER:[A-Z]+=(.*)$/m.exec(text)?.[1]
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(text)?.[1]
  if ((used && used !== path) || (home && join(home, '/') !== join(ROOT, '/'))) {
    rmSync(cache)
    rmSync(join(BUILD, 'CMakeFiles'), { recursive: true, force: true })
  }
}

function findCompiler() {
  const names = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']
  const found = names.map((name) => findTool(name)).filter(Boolean)
  const folder = mkdtempSync(join(tmpdir(), 'zslab-compiler-'))
  try {
    const source = join(folder, 'try.cpp')
    writeFileSync(
      source,
      '#include <string_view>\nconstexpr std::string_view s{"17"};\nint main() { if constexpr (s.size() == 2) return 0; }\n',
    )
    for (const path of found) {
      const compiled = spawnSync(path, ['-std=c++17', '-c', source, '-o', join(folder, 'try.o')], { encoding: 'utf8' })
      if (compiled.status !== 0) continue
      const banner = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]
      const version = /\d+\.\d+(\.\d+)?/.exec(banner)?.[0] ?? '?'
      const name = /clang/i.test(banner) ? 'clang' : 'gcc'
      const c =
        process.env.CC ??
        findTool(
          path
            .replace(/g\+\+/, 'gcc')
            .replace(/clang\+\+/, 'clang')
            .replace(/\/c\+\+$/, '/cc'),
        )
      return { path, name, version, c }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const what = found.length
    ? `${found.join(', ')} cannot compile C++17`
    : `no C++ compiler found (looked for ${names.join(', ')})`
  const help =
    process.platform === 'darwin'
      ? '`xcode-select --install`'
      : '`apt-get install g++` (or your system’s package of GCC ≥ 9 or Clang ≥ 10), or set CXX'
  throw new Failure(`${what}: the native part needs one; ${help}, then \`npm run build\``)
}

async function findCMake() {
  const asked = (path) => {
    if (!path) return undefined
    const answer = spawnSync(path, ['--version'], { encoding: 'utf8' })
    const version = answer.status === 0 ? /(\d+)\.(\d+)\S*/.exec(answer.stdout) : null
    if (!version || Number(version[1]) < 3 || (Number(version[1]) === 3 && Number(version[2]) < 20)) return undefined
    return { path, version: version[0] }
  }
  const inVenv = join(ROOT, '.venv/bin/cmake')
  const found = asked(findTool('cmake')) ?? asked(existsSync(inVenv) ? inVenv : undefined)
  if (found) return found
  const failed = await pip(ROOT, ['cmake==3.31.6'])
  const fetched = failed ? undefined : asked(inVenv)
  if (fetched) return fetched
  throw new Failure(
    `CMake ≥ 3.20 is missing and could not be fetched (${failed ?? 'the package does not run'}): \`apt-get install cmake\` or \`python3 -m pip install cmake\`, then \`npm run build\``,
  )
}

// ---------------------------------------------------------------- TypeScript

async function buildTypes() {
  if (installed) return
  const main = join(ROOT, 'dist/src/index.js')
  const compiler = join(ROOT, 'dist/kernel/compiler/main.cjs')
  const stamp = fingerprint(['src', 'kernel', 'tsconfig.json', 'package-lock.json'], [])
  if (fresh('types', stamp, [main, compiler], () => true)) return say('the TypeScript part is up to date')
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  if (!existsSync(tsc)) throw new Failure('TypeScript is not installed: run `npm ci` in the project first')
  const done = spawnSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.json')], { encoding: 'utf8', cwd: ROOT })
  if (done.status !== 0) throw new Failure(`the TypeScript part does not compile:\n${done.stdout}${done.stderr}`)
  await bundleCompiler()
  remember('types', stamp, {})
  say('TypeScript part built')
}

/** The kernel's compiler as one file: a snapshot can be made of nothing else. */
async function bundleCompiler() {
  const { build } = await import('esbuild')
  await build({
    entryPoints: [join(ROOT, 'kernel/compiler/main.ts')],
    outfile: join(ROOT, 'dist/kernel/compiler/main.cjs'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    banner: { js: "const __here = require('node:url').pathToFileURL(__filename).href" },
    define: { 'import.meta.url': '__here' },
    logLevel: 'warning',
  })
}

/** The kernel starts without it as well, only later. */
async function buildSnapshot() {
  const { makeSnapshot, snapshotPath } = await import(join(ROOT, 'dist/kernel/compiler/snapshot.js'))
  if (existsSync(snapshotPath()) && !given.includes('--force')) return
  try {
    makeSnapshot()
  } catch (error) {
    say(
      `node ${process.versions.node} makes no snapshot of the compiler, so the kernel starts slower: ${error.message}`,
    )
  }
}

// ---------------------------------------------------------------- what was built last

/** A hash over the contents of `paths` and over `facts`: whatever changes the result of a build. */
function fingerprint(paths, facts) {
  const hash = createHash('sha256')
  const visit = (path) => {
    const full = join(ROOT, path)
    if (!existsSync(full)) return
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort())
        if (name !== 'node_modules' && name !== 'test') visit(join(path, name))
      return
    }
    hash.update(`${path}\0`).update(readFileSync(full)).update('\0')
  }
  paths.forEach(visit)
  return hash.update(JSON.stringify(facts)).digest('hex')
}

function stamps() {
  try {
    return JSON.parse(readFileSync(join(BUILD, 'built.json'), 'utf8'))
  } catch {
    return {}
  }
}

function fresh(part, stamp, outputs, complete) {
  const last = stamps()[part]
  return (
    !given.includes('--force') && last?.stamp === stamp && outputs.every((path) => existsSync(path)) && complete(last)
  )
}

function remember(part, stamp, facts) {
  writeFileSync(join(BUILD, 'built.json'), JSON.stringify({ ...stamps(), [part]: { stamp, ...facts } }, null, 2))
}

/** Runs node with `args`, its output into build/build.log; on failure the log's end is shown. */
async function logged(args, env, failure) {
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  writeFileSync(LOG, text, { flag: 'a' })
  if (status === 0) return
  const lines = text.split('\n')
  const errors = lines.filter((line) => /error|fatal/i.test(line)).slice(0, 15)
  throw new Failure(
    `${failure}; the whole output is in ${LOG}\n${(errors.length ? errors : lines.slice(-30)).join('\n')}`,
  )
}
