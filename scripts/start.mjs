/**
 * `npm start`, the first command: builds, makes .venv with Jupyter, runs the first notebook headless through our kernel on a
 * real model, and writes what came out: the notebook with its outputs, a page that works offline, the figures.
 *   --out FOLDER   where it goes (default: out)
 * Ends with 1 if a cell fails; the notebook that is written then shows the error.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { JupyterFailure, prepareJupyter } from './jupyter.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NOTEBOOK = join(ROOT, 'notebooks/01-quickstart.ipynb')
const say = (line) => console.log(`zslab: ${line}`)

class Failure extends Error {}

try {
  const out = outFolder(process.argv.slice(2))
  await main(out)
} catch (error) {
  if (!(error instanceof Failure) && !(error instanceof JupyterFailure)) throw error
  console.error(`zslab: ${error.message}`)
  process.exitCode = 1
}

async function main(out) {
  const started = Date.now()
  if ((await run(process.execPath, [join(ROOT, 'scripts/build.mjs')])) !== 0)
    throw new Failure('zslab could not be built: see above, then run `npm start` again')
  await prepareJupyter(ROOT, { say })
  say(`Jupyter is ready in ${shown(join(ROOT, '.venv'))}`)

  mkdirSync(out, { recursive: true })
  const name = basename(NOTEBOOK, '.ipynb')
  const executed = join(out, `${name}.ipynb`)
  rmSync(executed, { force: true })
  say(`running ${shown(NOTEBOOK)}: the first time it fetches a model of 93 MB …`)
  const ran = await zslab(['run', NOTEBOOK, '--output', executed], { ZSLAB_OUT: out })
  if (existsSync(executed) && (await zslab(['export', executed, '--to', 'html'])) !== 0)
    throw new Failure(`${shown(executed)} could not be made a page: see above`)
  if (ran !== 0) throw new Failure(`the notebook did not run to its end: the error is shown in ${shown(executed)}`)

  say(`done in ${Math.round((Date.now() - started) / 1000)} s. Written:`)
  for (const file of readdirSync(out).sort()) if (file.startsWith('01-')) console.log(`  ${shown(join(out, file))}`)
  say(`open ${shown(join(out, `${name}.html`))} in a browser, or the notebook itself with \`npm run lab\``)
}

function outFolder(given) {
  if (given.length === 0) return join(ROOT, 'out')
  if (given.length === 2 && given[0] === '--out') return resolve(given[1])
  throw new Failure(`scripts/start.mjs takes --out FOLDER and nothing else; it was given ${given.join(' ')}`)
}

function shown(path) {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : short
}

/** A command of ours, without the paths that it prints → exit code. */
function zslab(words, env) {
  return run(process.execPath, [join(ROOT, 'dist/src/cli/main.js'), ...words], env, 'ignore')
}

/** Runs `command` with this terminal → exit code. */
function run(command, words, env = {}, stdout = 'inherit') {
  const child = spawn(command, words, { stdio: ['inherit', stdout, 'inherit'], env: { ...process.env, ...env } })
  return new Promise((done, reject) =>
    child.on('error', reject).on('close', (code, signal) => done(signal ? 130 : code)),
  )
}
