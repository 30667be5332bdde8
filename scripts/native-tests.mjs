/**
 * Builds and runs the native tests (native/test/*.cpp, and for the CUDA kernels native/cuda/test/*.cpp, each a program of its own). One line per program; the last line is one JSON
 * object for other scripts: { nativeTests: { passed, failed, programs, broken, bad, seconds } }, where passed and failed count checks,
 * broken lists programs that did not come to their end, bad these and those with failed checks. Exit status 1 if anything failed.
 *   (nothing)      the programs linked with the engine as it is built for the addon
 *   --address, --thread   everything built with the address and undefined-behaviour, or with the thread sanitizer instead; few cases
 *   --race         the CUDA kernels alone, with the emulation's own search for races and for reads of what nobody wrote
 *   --full         all random cases (as ZSLAB_TEST_SCALE=full); else a sample
 *   --jobs=N       compilers and programs at once (all CPUs, two programs)
 *   NAME …         only these programs, for instance `parity`
 * Build folders: build/native-tests/<variant>.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BOOST_HELP, boostContext, buildEmulated, buildTargets, builtEngine, CMakeFailure } from './cmake.mjs'

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
  race: { sanitize: 'race', environment: {} },
}
const KNOWN = ['--address', '--thread', '--race', '--full', '--jobs']
const given = process.argv.slice(2)
const jobs = Number(given.find((word) => word.startsWith('--jobs='))?.slice(7) ?? Math.min(8, availableParallelism()))
const say = (line) => console.log(line)

const total = { passed: 0, failed: 0, programs: 0, broken: [], bad: [], seconds: 0 }
const started = Date.now()
try {
  const wrong = given.find((word) => word.startsWith('-') && !KNOWN.includes(word.split('=')[0]))
  if (wrong)
    throw new CMakeFailure(`scripts/native-tests.mjs has no option ${wrong}; it has ${KNOWN.join(', ')} and names`)
  if (!(Number.isInteger(jobs) && jobs > 0)) throw new CMakeFailure('--jobs is no whole number above 0')
  const variant = Object.keys(VARIANTS).find((name) => given.includes(`--${name}`)) ?? 'release'
  const names = programs(
    variant,
    given.filter((word) => !word.startsWith('-')),
  )
  const folder = await build(variant, names)
  await runAll(variant, folder, names)
} catch (error) {
  if (!(error instanceof CMakeFailure)) throw error
  console.error(`native tests: ${error.message}`)
  total.programs += 1
  total.broken.push('build')
  total.bad.push('build')
}
total.seconds = Math.round((Date.now() - started) / 1000)
say(JSON.stringify({ nativeTests: total }))
process.exitCode = total.failed || total.broken.length ? 1 : 0

/** All programs of a variant, or those asked for. */
function programs(variant, asked) {
  const of = (folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.cpp'))
      .map((name) => basename(name, '.cpp'))
      .sort()
  const cuda = of('native/cuda/test')
  const unknown = asked.find((name) => ![...of('native/test'), ...cuda].includes(name))
  if (unknown)
    throw new CMakeFailure(
      `there is no native test ${unknown}; there are ${[...of('native/test'), ...cuda].join(', ')}`,
    )
  // Emulated kernels run on one thread, and races among theirs are told by a build of their own.
  const emulated = variant === 'thread' || !boostContext() ? [] : cuda
  const all = variant === 'race' ? emulated : [...of('native/test'), ...emulated]
  const missing = asked.find((name) => !all.includes(name))
  if (missing)
    throw new CMakeFailure(
      boostContext() ? `${missing} is no test of --${variant}` : `${missing} needs Boost.Context: ${BOOST_HELP}`,
    )
  return asked.length ? asked : all
}

/** Builds one variant; returns its folder. */
async function build(variant, names) {
  const folder = join(ROOT, 'build/native-tests', variant)
  const { sanitize } = VARIANTS[variant]
  const from = Date.now()
  // Sanitizers see nothing inside a library built without them (and take its threads for races): they get the portable products.
  const engine = sanitize && sanitize !== 'race' ? { ZSLAB_BUILT: '', ZSLAB_ONEDNN: '' } : await builtEngine(ROOT)
  const emulated = variant !== 'thread' && boostContext()
  const settings = {
    ...engine,
    ZSLAB_TESTS: 'ON',
    ZSLAB_EMULATED: emulated ? 'ON' : 'OFF',
    ZSLAB_EMULATED_BUILT: emulated && !sanitize ? (await buildEmulated(ROOT, jobs)).folder : '',
    ZSLAB_SANITIZE: sanitize,
  }
  await buildTargets({ root: ROOT, folder, settings, targets: names.map((name) => `test_${name}`), jobs })
  say(`native tests, ${variant}: built in ${((Date.now() - from) / 1000).toFixed(0)} s`)
  return folder
}

/** At most two programs at once: some use several threads themselves. */
async function runAll(variant, folder, names) {
  const queue = [...names]
  const worker = async () => {
    for (let name = queue.shift(); name; name = queue.shift()) await runOne(variant, folder, name)
  }
  await Promise.all(Array.from({ length: Math.min(2, jobs) }, worker))
}

async function runOne(variant, folder, name) {
  const asked = given.includes('--full') ? 'full' : (process.env.ZSLAB_TEST_SCALE ?? '')
  const scale = VARIANTS[variant].sanitize ? (asked === 'ci' ? 'sanitizer-ci' : 'sanitizer') : asked
  const env = {
    ...process.env,
    ...VARIANTS[variant].environment,
    ZSLAB_TEST_SCALE: scale,
    ZSLAB_GOLDEN: join(ROOT, 'test/golden'),
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
