/**
 * Builds and runs the native tests (native/test/*.cpp, each a program of its own). One line per program; the last line is one JSON
 * object for other scripts: { nativeTests: { passed, failed, programs, broken, bad, seconds } }, where passed and failed count checks,
 * broken lists programs that did not come to their end, bad these and those with failed checks. Exit status 1 if anything failed.
 *   (nothing)      the release build
 *   --sanitizers   the builds with address + undefined-behaviour and with thread sanitizers instead, on few cases
 *   --all          all three
 *   --full         all random cases (as ZSLAB_TEST_SCALE=full); else a sample
 *   NAME …         only these programs, for instance `parity`
 * Build folders: build/native-tests/<variant>.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findOneDnn, findTool, pip } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const VARIANTS = {
  release: { sanitize: '', environment: {} },
  address: {
    sanitize: 'address,undefined',
    environment: {
      ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    },
  },
  thread: { sanitize: 'thread', environment: { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' } },
}
const JOBS = Math.max(1, Math.min(8, availableParallelism()))
const given = process.argv.slice(2)
const say = (line) => console.log(line)

class Failure extends Error {}

const total = { passed: 0, failed: 0, programs: 0, broken: [], bad: [], seconds: 0 }
const started = Date.now()
try {
  const wrong = given.find((word) => word.startsWith('-') && !['--sanitizers', '--all', '--full'].includes(word))
  if (wrong)
    throw new Failure(
      `scripts/native-tests.mjs has no option ${wrong}; it has --sanitizers, --all, --full and names of programs`,
    )
  const names = programs(given.filter((word) => !word.startsWith('-')))
  const chosen = given.includes('--all')
    ? ['release', 'address', 'thread']
    : given.includes('--sanitizers')
      ? ['address', 'thread']
      : ['release']
  const cmake = await findCMake()
  for (const variant of chosen) {
    const folder = await build(variant, cmake, names)
    await runAll(variant, folder, names)
  }
} catch (error) {
  if (!(error instanceof Failure)) throw error
  console.error(`native tests: ${error.message}`)
  total.programs += 1
  total.broken.push('build')
  total.bad.push('build')
}
total.seconds = Math.round((Date.now() - started) / 1000)
say(JSON.stringify({ nativeTests: total }))
process.exitCode = total.failed || total.broken.length ? 1 : 0

/** All programs, or those asked for. */
function programs(asked) {
  const all = readdirSync(join(ROOT, 'native/test'))
    .filter((name) => name.endsWith('.cpp'))
    .map((name) => basename(name, '.cpp'))
    .sort()
  const unknown = asked.find((name) => !all.includes(name))
  if (unknown) throw new Failure(`there is no native test ${unknown}; there are ${all.join(', ')}`)
  return asked.length ? asked : all
}

async function findCMake() {
  const inVenv = join(ROOT, '.venv/bin/cmake')
  const works = (path) => path && spawnSync(path, ['--version']).status === 0
  const known = [findTool('cmake'), existsSync(inVenv) ? inVenv : undefined].find(works)
  if (known) return known
  const failed = await pip(ROOT, ['cmake==3.31.6'])
  if (!failed && works(inVenv)) return inVenv
  throw new Failure(`CMake is missing (${failed ?? 'the fetched one does not run'}): \`apt-get install cmake\``)
}

/** Configures and builds one variant; returns its folder. */
async function build(variant, cmake, names) {
  const folder = join(ROOT, 'build/native-tests', variant)
  mkdirSync(folder, { recursive: true })
  forgetOtherRoot(folder)
  const { sanitize } = VARIANTS[variant]
  // Sanitizers see nothing inside a library built without them (and take its threads for races): they get the portable products.
  const portable = sanitize !== '' || !['', '0', undefined].includes(process.env.ZSLAB_PORTABLE)
  const oneDnn = portable ? {} : await findOneDnn(ROOT)
  const from = Date.now()
  await output(
    cmake,
    [
      ...['-S', ROOT, '-B', folder, '-DCMAKE_BUILD_TYPE=Release', '-DZSLAB_ADDON=OFF', '-DZSLAB_TESTS=ON'],
      `-DZSLAB_SANITIZE=${sanitize}`,
      `-DZSLAB_ONEDNN=${oneDnn.path ?? ''}`,
    ],
    'CMake could not configure the native tests',
  )
  const targets = names.map((name) => `test_${name}`)
  await output(
    cmake,
    ['--build', folder, '--parallel', String(JOBS), '--target', ...targets],
    'the native tests do not compile',
  )
  say(`native tests, ${variant}: built in ${((Date.now() - from) / 1000).toFixed(0)} s`)
  return folder
}

/** CMake refuses a folder configured from another place (a moved checkout): its cache is removed first. */
function forgetOtherRoot(folder) {
  const cache = join(folder, 'CMakeCache.txt')
  if (!existsSync(cache)) return
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1]
  if (home && join(home, '/') !== join(ROOT, '/')) rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
}

/** As many programs at once as there are CPUs, at most two: some use several threads themselves. */
async function runAll(variant, folder, names) {
  const queue = [...names]
  const worker = async () => {
    for (let name = queue.shift(); name; name = queue.shift()) await runOne(variant, folder, name)
  }
  await Promise.all(Array.from({ length: Math.min(2, JOBS) }, worker))
}

async function runOne(variant, folder, name) {
  const scale = VARIANTS[variant].sanitize
    ? 'sanitizer'
    : given.includes('--full')
      ? 'full'
      : process.env.ZSLAB_TEST_SCALE
  const env = {
    ...process.env,
    ...VARIANTS[variant].environment,
    ZSLAB_TEST_SCALE: scale ?? '',
    ZSLAB_GOLDEN: join(ROOT, 'test/golden/zsmerge_reference.json'),
  }
  const from = Date.now()
  const { status, signal, text } = await run(join(folder, `test_${name}`), [], env)
  const seconds = ((Date.now() - from) / 1000).toFixed(1)
  const counts = new RegExp(`^${name}: (\\d+) passed, (\\d+) failed$`, 'm').exec(text)
  total.programs += 1
  if (counts) {
    total.passed += Number(counts[1])
    total.failed += Number(counts[2])
  }
  const ended = signal
    ? `ended by ${signal}`
    : !counts || (status !== 0 && counts[2] === '0')
      ? `exit status ${status}`
      : ''
  if (ended) total.broken.push(`${variant} ${name}`)
  if (ended || counts?.[2] !== '0') total.bad.push(`${variant} ${name}`)
  const detail = text.split('\n').filter((line) => line && !line.startsWith(`${name}: `))
  const shown =
    ended || (counts && counts[2] !== '0')
      ? detail.slice(0, 60)
      : detail.filter((line) => line.startsWith('  ')).slice(0, 6)
  say(
    [`${variant} ${counts?.[0] ?? `${name}: no result`}${ended ? `, ${ended}` : ''} (${seconds} s)`, ...shown].join(
      '\n',
    ),
  )
}

function run(program, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
    child.on('error', reject).on('close', (status, signal) => resolve({ status, signal, text }))
  })
}

async function output(program, args, failure) {
  const { status, text } = await run(program, args, process.env)
  if (status === 0) return
  const lines = text.split('\n')
  const errors = lines.filter((line) => /error|undefined reference/i.test(line)).slice(0, 15)
  throw new Failure(`${failure}:\n${(errors.length ? errors : lines.slice(-20)).join('\n')}`)
}
