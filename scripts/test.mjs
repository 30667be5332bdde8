/**
 * `npm test`: everything that must hold. Builds what is missing, makes .venv, and runs the native tests and mocha's, a process for
 * each folder of test/ and some of them at once; each tells its results when it ends. At the end it lists what this machine lacked
 * to test, each with the command that adds it; the last line is `N passed, N failed`, where every program of native/test is one
 * test. Exit status 1 if anything failed.
 *   (nothing)      seeded samples, in minutes
 *   --full         every case (10,000 configurations, 20,000 mutants …), as ZSLAB_TEST_SCALE=full
 *   --ci           the same, but of random cases that are much alike a fifth, as ZSLAB_TEST_SCALE=ci
 *   --sanitizers   the native tests also with address, undefined-behaviour and thread sanitizers
 *   --complete     what is left out counts as failed
 * One file alone: `npx mocha test/src/expect.test.ts`; one native program: `node scripts/native-tests.mjs parity`.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BOOST_HELP, boostContext } from './cmake.mjs'
import { findTool, venv } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const KNOWN = ['--full', '--ci', '--sanitizers', '--complete']
/** What needs Jupyter as a whole; single tests that need another program say so themselves (test/left-out.ts). */
const NEED_JUPYTER = /^test\/(lab|notebooks|kernel|readers)\b/
/** At once. Kernels and browsers wait a lot, so there is more to do than CPUs to do it; and no test depends on who is first. */
const LANES = Math.max(3, Math.min(4, availableParallelism() >> 1))

const given = process.argv.slice(2)
const scale = ['full', 'ci'].find((one) => given.includes(`--${one}`)) ?? process.env.ZSLAB_TEST_SCALE ?? ''
const folder = mkdtempSync(join(tmpdir(), 'zslab-tests-'))
const leftOutFile = join(folder, 'left-out')
const total = { passed: 0, failed: 0 }
const broken = []
const started = Date.now()
/** What says nothing for so long hangs: it is ended and counted as failed, so that all the rest is told. */
const SILENT_MS = 20 * 60_000
/** A process that ended may leave others behind that hold its streams open. */
const CLOSES_MS = 10_000
const UNDER_WAY_MS = 5 * 60_000
const underWay = new Map()
const seconds = (from) => `${((Date.now() - from) / 1000).toFixed(0)} s`

const wrong = given.find((word) => !KNOWN.includes(word))
if (wrong) {
  console.error(`scripts/test.mjs has no option ${wrong}; it has ${KNOWN.join(', ')}`)
  process.exitCode = 2
} else
  try {
    writeFileSync(leftOutFile, '')
    setInterval(tellUnderWay, UNDER_WAY_MS).unref()
    await everything()
    summary()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }

async function everything() {
  const env = {
    ...process.env,
    ZSLAB_LEFT_OUT: leftOutFile,
    ZSLAB_CUDA: '0', // minutes of nvcc where there is one; what GPUs run is tested emulated, and compiled by scripts/cuda-gates.mjs
    ZSLAB_TEST_SCALE: scale,
  }
  if (!(await step('build', ['scripts/build.mjs'], env))) return
  const jupyter = prepareJupyter(env)
  const queue = [
    ...nativeVariants().map((words) => () => nativeTests(words, env)),
    ...testFolders().map(([name, files]) => async () => {
      // The library's own tests, taken first, need not wait for what is being installed.
      if (name.startsWith('test/src') || (await jupyter) || !NEED_JUPYTER.test(name)) await mocha(name, files, env)
    }),
  ]
  // One has the compilers, from the front; the others have mocha, from the back.
  const lane = async (_, i) => {
    for (let next; (next = i ? queue.pop() : queue.shift());) await next()
  }
  await Promise.all([jupyter, ...Array.from({ length: LANES }, lane)])
}

/** Whether what needs Jupyter can run. */
async function prepareJupyter(env) {
  const reason = await venv(ROOT)
  if (reason) leaveOut(`kernel, notebooks and lab: ${reason}`, 'apt-get install python3-venv')
  else await step('jupyter', ['scripts/jupyter.mjs', '--tests', '--quiet'], env)
  return !reason
}

function nativeVariants() {
  const names = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']
  if (names.some((name) => findTool(name)))
    return [[], ...(given.includes('--sanitizers') ? [['--address'], ['--thread'], ...emulated()] : [])]
  leaveOut('native tests: no C++ compiler', 'apt-get install g++')
  return []
}

/** The variants that are of the emulated CUDA kernels alone. */
function emulated() {
  if (boostContext()) return [['--race']]
  leaveOut('CUDA kernels, emulated: no Boost.Context', BOOST_HELP)
  return []
}

async function nativeTests(words, env) {
  const name = ['native tests', ...words].join(' ')
  // With as many compilers as it takes by itself: mocha's lanes wait a lot, and are long done when the last of these ends.
  const { text } = await run(name, ['scripts/native-tests.mjs', ...words], env)
  const lines = text.trimEnd().split('\n')
  const result = lines.find((line) => line.startsWith('{"nativeTests"'))
  console.log(['', ...lines.filter((line) => line !== result)].join('\n'))
  if (!result) return fail(`${name}: no result`)
  const found = JSON.parse(result).nativeTests
  total.passed += found.programs - found.bad.length
  found.bad.forEach((bad) => fail(`native test ${bad}`))
  console.log(`${name}: ${found.programs} programs with ${found.passed + found.failed} checks, ${found.seconds} s`)
}

/** [folder, its test files] for each folder of test/ that has some. */
function testFolders() {
  const folders = new Map()
  for (const path of readdirSync(join(ROOT, 'test'), { recursive: true }).sort()) {
    if (!path.endsWith('.test.ts')) continue
    const name = dirname(join('test', path))
    folders.set(name, [...(folders.get(name) ?? []), join('test', path)])
  }
  return [...folders].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function mocha(name, files, env) {
  const from = Date.now()
  const totals = join(folder, `${name.replaceAll('/', '-')}.json`)
  const words = ['node_modules/mocha/bin/mocha.js', '--reporter', 'scripts/mocha-reporter.cjs', ...files]
  const { status, text } = await run(name, words, { ...env, ZSLAB_TOTALS: totals })
  console.log(`\n== ${name} (${seconds(from)})\n${text.trim()}`)
  if (!existsSync(totals)) return fail(`mocha ended before its last test of ${name}`)
  const { passed, failed, skipped, broken: titles } = JSON.parse(readFileSync(totals, 'utf8'))
  total.passed += passed
  total.failed += failed
  if (failed) broken.push(...titles.map((title) => `${name}: ${title}`))
  else if (status !== 0) fail(`mocha ended with status ${status} in ${name}`)
  skipped.forEach((title) => leaveOut(`skipped: ${title}`, 'see the test'))
}

function summary() {
  const leftOut = [...new Set(readFileSync(leftOutFile, 'utf8').split('\n').filter(Boolean))]
  if (leftOut.length) console.log(`\nleft out on this machine:\n${leftOut.map((line) => `  ${line}`).join('\n')}`)
  if (given.includes('--complete')) leftOut.forEach((line) => fail(`left out: ${line}`))
  if (broken.length) console.log(`\nfailed:\n${broken.map((line) => `  ${line}`).join('\n')}`)
  const said = { full: 'every case', ci: 'every case, of random ones that are much alike a fifth' }[scale] ?? 'samples'
  console.log(`\n${said}, ${seconds(started)}`)
  console.log(`${total.passed} passed, ${total.failed} failed`)
  process.exitCode = total.failed ? 1 : 0
}

function leaveOut(what, command) {
  writeFileSync(leftOutFile, `${what} — ${command}\n`, { flag: 'a' })
}

function fail(what) {
  total.failed += 1
  broken.push(what)
}

/** A step that is no test: counted only if it fails. */
async function step(name, args, env) {
  const { status, text } = await run(name, args, env)
  if (text) console.log(text.trimEnd())
  if (status !== 0) fail(name)
  return status === 0
}

/** Runs node with `args` → { status, text of both streams }. */
function run(name, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
    underWay.set(name, Date.now())
    let text = ''
    const silent = setTimeout(() => {
      fail(`${name} said nothing for ${SILENT_MS / 60_000} minutes after “${text.trimEnd().split('\n').at(-1).trim()}”`)
      child.kill('SIGKILL')
    }, SILENT_MS)
    let lingers
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
        silent.refresh()
      })
    const ended = (status) => {
      clearTimeout(silent)
      clearTimeout(lingers)
      underWay.delete(name)
      for (const stream of [child.stdout, child.stderr]) stream.destroy()
      resolve({ status: status ?? 1, text })
    }
    child.on('error', reject).on('close', ended)
    child.on('exit', (status) => (lingers = setTimeout(ended, CLOSES_MS, status)))
  })
}

/** So that the log of a run that was cut off says where it was. */
function tellUnderWay() {
  const each = [...underWay].map(([name, from]) => `${name} ${seconds(from)}`)
  console.log(`\nat ${seconds(started)}: ${each.join(', ')}`)
}
