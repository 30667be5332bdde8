/**
 * Jupyter inside the project, without root: `.venv` with pinned JupyterLab and its tools, our kernel, the lab extension, the
 * template for pages that need no network. Does nothing that is done already; a second run takes a moment.
 *   --tests   also what the tests of kernel and lab need        --quiet   says nothing where nothing is to do
 *   --latex   also what makes LaTeX of notebooks (pandoc, 34 MB)
 */
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import lockfile from 'proper-lockfile'
import { buildExtension } from './labextension.mjs'
import { missing, output, pip, READERS, venv, venvVersion } from './python.mjs'

const LAB = '4.6.6'
const PACKAGES = [
  `jupyterlab==${LAB}`,
  'nbclient==0.11.0',
  'nbconvert==7.17.2',
  'nbformat==5.11.1',
  'jupyter_client==8.10.0',
  'jupyter_server==2.21.1',
  'pyzmq==27.3.0',
]
const TEST_PACKAGES = ['jupyter-kernel-test==0.7.0', 'notebook==7.6.5', 'jupyter-console==6.6.3', 'pypdf==7.1.1']
/** nbconvert reads markdown with pandoc, which comes inside the first; the second knows characters that TeX does not. */
const LATEX_PACKAGES = ['pypandoc_binary==1.17', 'pylatexenc==2.11']
const OLDEST = [3, 10] // what these versions need
const SETTINGS = {
  '@jupyterlab/apputils-extension:notification': { fetchNews: 'false', checkForUpdates: false },
}

/** What the user can mend; the message says how. */
export class JupyterFailure extends Error {}

/** Makes all of it for the project at `root`. Throws a JupyterFailure. */
export async function prepareJupyter(root, { tests = false, latex = false, say = () => undefined } = {}) {
  const prefix = join(root, '.venv')
  await python(root)
  // Two commands at once (say `npm start` and `npm test`) take turns.
  const release = await lockfile.lock(prefix, {
    lockfilePath: join(prefix, 'zslab.lock'),
    stale: 30_000,
    retries: { retries: 600, factor: 1, minTimeout: 500 },
  })
  try {
    await packages(root, [...PACKAGES, ...(tests ? TEST_PACKAGES : []), ...(tests || latex ? LATEX_PACKAGES : [])], say)
    if (tests) await readers(root, say)
    const failed = await buildExtension(root, say)
    if (failed) throw new JupyterFailure(failed)
    await kernel(root, prefix)
    write(join(prefix, 'share/jupyter/lab/settings/overrides.json'), `${JSON.stringify(SETTINGS, null, 2)}\n`)
  } finally {
    await release()
  }
}

const AGAIN = 'then run the same command again'

/** Makes .venv where there is none, of a Python that is new enough. */
async function python(root) {
  const failed = venvVersion(root) ? undefined : await venv(root)
  if (failed)
    throw new JupyterFailure(
      `.venv could not be made: ${failed}; Jupyter needs Python ${OLDEST.join('.')} or newer with venv, ${AGAIN}`,
    )
  const version = venvVersion(root)
  if (version[0] < OLDEST[0] || (version[0] === OLDEST[0] && version[1] < OLDEST[1]))
    throw new JupyterFailure(
      `.venv has Python ${version.join('.')}, but JupyterLab ${LAB} needs ${OLDEST.join('.')} or newer: install a newer python3, remove the folder .venv, ${AGAIN}`,
    )
}

async function packages(root, wanted, say) {
  const todo = missing(root, wanted)
  if (todo.length === 0) return
  say(`fetching ${todo.map((entry) => entry.replace('==', ' ')).join(', ')} into .venv (about half a minute) …`)
  const reason = await pip(root, todo, { dependencies: true })
  if (reason)
    throw new JupyterFailure(`pip could not install Jupyter: ${reason}; connect to a Python package index, ${AGAIN}`)
}

async function readers(root, say) {
  const todo = missing(root, READERS)
  if (todo.length === 0) return
  say(`fetching ${todo.map((entry) => entry.replace('==', ' ')).join(', ')} for tests into .venv (165 MB) …`)
  const reason = await pip(root, todo, { dependencies: true })
  if (reason) say(`what tests open traces with could not be installed: ${reason}`)
}

async function kernel(root, prefix) {
  const main = join(root, 'dist/kernel/main.js')
  if (!existsSync(main)) throw new JupyterFailure('the kernel is not built: run `npm run build`')
  const done = await output(process.execPath, [main, 'install', '--prefix', prefix])
  if (done.status !== 0) throw new JupyterFailure(`the kernel could not be installed: ${done.text.trim()}`)
}

function write(path, text) {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2)
  const known = ['--tests', '--latex', '--quiet']
  const wrong = given.find((word) => !known.includes(word))
  const say = (line) => console.error(`zslab: ${line}`)
  try {
    if (wrong) throw new JupyterFailure(`scripts/jupyter.mjs has no option ${wrong}; it has ${known.join(', ')}`)
    await prepareJupyter(fileURLToPath(new URL('..', import.meta.url)), {
      tests: given.includes('--tests'),
      latex: given.includes('--latex'),
      say,
    })
    if (!given.includes('--quiet'))
      say(`Jupyter is ready: JupyterLab ${LAB}, the TypeScript kernel and the extension are in .venv`)
  } catch (error) {
    if (!(error instanceof JupyterFailure)) throw error
    say(error.message)
    process.exitCode = 1
  }
}
