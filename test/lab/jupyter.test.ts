/** scripts/jupyter.mjs: what it puts into .venv, and that a second run changes nothing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeJupyter, ROOT } from './lab.js'

const SHARE = join(ROOT, '.venv/share/jupyter')
const PLACED = [
  'kernels/zslab/kernel.json',
  'labextensions/zslab-jupyterlab/package.json',
  'nbconvert/templates/zslab/index.html.j2',
  'lab/settings/overrides.json',
]

function jupyter(...words: string[]) {
  return spawnSync(process.execPath, [join(ROOT, 'scripts/jupyter.mjs'), ...words], { encoding: 'utf8' })
}

describe('scripts/jupyter.mjs', function () {
  this.timeout(300_000)
  before(makeJupyter)

  it('puts kernel, extension, template and settings where Jupyter looks', () => {
    for (const path of PLACED) assert.ok(existsSync(join(SHARE, path)), path)
    const list = (...words: string[]) =>
      spawnSync(join(ROOT, '.venv/bin/python'), ['-m', 'jupyter', ...words], { encoding: 'utf8' })
    const kernels = JSON.parse(list('kernelspec', 'list', '--json').stdout) as {
      kernelspecs: Record<string, { spec: { argv: string[]; language: string; interrupt_mode: string } }>
    }
    const { spec } = kernels.kernelspecs.zslab
    assert.deepEqual([spec.language, spec.interrupt_mode], ['typescript', 'message'])
    assert.ok(spec.argv.includes('{connection_file}'), spec.argv.join(' '))
    const extensions = list('labextension', 'list')
    assert.match(extensions.stdout + extensions.stderr, /zslab-jupyterlab v\S+ .*enabled.*OK/)
    assert.deepEqual(JSON.parse(readFileSync(join(SHARE, 'lab/settings/overrides.json'), 'utf8')), {
      '@jupyterlab/apputils-extension:notification': { fetchNews: 'false', checkForUpdates: false },
    })
  })

  it('leaves everything as it is the second time, and says nothing when asked to be quiet', () => {
    const extension = join(SHARE, 'labextensions/zslab-jupyterlab/built.json')
    const before = statSync(extension).mtimeMs
    const done = jupyter('--quiet')
    assert.deepEqual([done.status, done.stdout, done.stderr], [0, '', ''])
    assert.equal(statSync(extension).mtimeMs, before)
  })

  it('names the options that it has', () => {
    const done = jupyter('--user')
    assert.equal(done.status, 1)
    assert.match(done.stderr, /no option --user; it has --tests, --latex, --quiet/)
  })
})
