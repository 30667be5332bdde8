/**
 * `npm test`: everything that must hold. Builds what is missing, makes .venv, runs the native tests, then mocha's. At the end it
 * lists what this machine lacked to test, each with the command that adds it; the last line is `N passed, N failed`, where every
 * program of native/test is one test. Exit status 1 if anything failed.
 *   (nothing)      seeded samples, in minutes
 *   --full         every case (10,000 configurations, 20,000 mutants …), as ZSLAB_TEST_SCALE=full
 *   --sanitizers   the native tests also with address, undefined-behaviour and thread sanitizers
 *   --complete     what is left out counts as failed
 * One file alone: `npx mocha test/src/expect.test.ts`; one native program: `node scripts/native-tests.mjs parity`.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findTool, venv } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const KNOWN = ['--full', '--sanitizers', '--complete']
/** What needs Jupyter as a whole; single tests that need another program say so themselves (test/left-out.ts). */
const NEED_JUPYTER = ['test/lab/**', 'test/notebooks/**', 'test/kernel/**']

const given = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'zslab-tests-'))
const files = { leftOut: join(folder, 'left-out'), totals: join(folder, 'totals.json') }
const total = { passed: 0, failed: 0 }
const broken = []
const started = Date.now()

const wrong = given.find((word) => !KNOWN.includes(word))
if (wrong) {
  console.error(`scripts/test.mjs has no option ${wrong}; it has ${KNOWN.join(', ')}`)
  process.exitCode = 2
} else
  try {
    writeFileSync(files.leftOut, '')
    await everything()
    summary()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }

async function everything() {
  const env = {
    ...process.env,
    ZSLAB_LEFT_OUT: files.leftOut,
    ZSLAB_TOTALS: files.totals,
    ...(given.includes('--full') ? { ZSLAB_TEST_SCALE: 'full' } : {}),
  }
  if (!(await step('build', ['scripts/build.mjs'], env))) return
  const ignored = []
  const reason = await venv(ROOT)
  if (reason) {
    leaveOut(`kernel, notebooks and lab: ${reason}`, 'apt-get install python3-venv')
    ignored.push(...NEED_JUPYTER.flatMap((pattern) => ['--ignore', pattern]))
  } else await step('jupyter', ['scripts/jupyter.mjs', '--tests', '--quiet'], env)
  await nativeTests(env)
  await mocha(ignored, env)
}

async function nativeTests(env) {
  const names = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++']
  if (!names.some((name) => findTool(name))) return leaveOut('native tests: no C++ compiler', 'apt-get install g++')
  const { text } = await run(['scripts/native-tests.mjs', ...(given.includes('--sanitizers') ? ['--all'] : [])], env)
  const line = text.split('\n').findLast((one) => one.startsWith('{"nativeTests"'))
  const found = line === undefined ? undefined : JSON.parse(line).nativeTests
  if (!found) return fail('native tests: no result')
  total.passed += found.programs - found.bad.length
  found.bad.forEach((name) => fail(`native test ${name}`))
  console.log(`native tests: ${found.programs} programs with ${found.passed + found.failed} checks, ${found.seconds} s`)
}

async function mocha(ignored, env) {
  const { status } = await run(
    ['node_modules/mocha/bin/mocha.js', '--reporter', 'scripts/mocha-reporter.cjs', ...ignored, 'test/**/*.test.ts'],
    env,
  )
  if (!existsSync(files.totals)) return fail('mocha ended before its last test')
  const { passed, failed, skipped } = JSON.parse(readFileSync(files.totals, 'utf8'))
  total.passed += passed
  total.failed += failed
  if (failed) broken.push(`${failed} of mocha's tests (told above)`)
  else if (status !== 0) fail(`mocha ended with status ${status}`)
  skipped.forEach((title) => leaveOut(`skipped: ${title}`, 'see the test'))
}

function summary() {
  const leftOut = readFileSync(files.leftOut, 'utf8').split('\n').filter(Boolean)
  if (leftOut.length) console.log(`\nleft out on this machine:\n${leftOut.map((line) => `  ${line}`).join('\n')}`)
  if (given.includes('--complete')) leftOut.forEach((line) => fail(`left out: ${line}`))
  if (broken.length) console.log(`\nfailed:\n${broken.map((line) => `  ${line}`).join('\n')}`)
  const scale = given.includes('--full') || process.env.ZSLAB_TEST_SCALE === 'full' ? 'every case' : 'samples'
  console.log(`\n${scale}, ${((Date.now() - started) / 1000).toFixed(0)} s`)
  console.log(`${total.passed} passed, ${total.failed} failed`)
  process.exitCode = total.failed ? 1 : 0
}

function leaveOut(what, command) {
  writeFileSync(files.leftOut, `${what} — ${command}\n`, { flag: 'a' })
}

function fail(what) {
  total.failed += 1
  broken.push(what)
}

/** A step that is no test: counted only if it fails. */
async function step(name, args, env) {
  const { status } = await run(args, env)
  if (status !== 0) fail(name)
  return status === 0
}

/** Runs node with `args`, shows its output as it comes → { status, text of stdout }. */
function run(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk) => {
      process.stdout.write(chunk)
      text += chunk
    })
    child.on('error', reject).on('close', (status) => resolve({ status: status ?? 1, text }))
  })
}
