/** The public kernel tests of the Jupyter project, all thirteen. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, MAIN, PYTHON, testable } from './client.js'

if (testable())
  describe('kernel: jupyter_kernel_test', function () {
    this.timeout(180_000)

    it('passes every test, skips none', () => {
      build()
      const folder = mkdtempSync(join(tmpdir(), 'kernel-public-'))
      try {
        const made = spawnSync(process.execPath, [MAIN, 'install', '--prefix', folder], { encoding: 'utf8' })
        assert.equal(made.status, 0, made.stderr)
        const env = {
          ...process.env,
          JUPYTER_PATH: join(folder, 'share/jupyter'),
          JUPYTER_RUNTIME_DIR: folder,
          ZSLAB_HISTORY: join(folder, 'history.sqlite'),
        }
        const script = fileURLToPath(new URL('kernel_tests.py', import.meta.url))
        const { status, stderr } = spawnSync(PYTHON, [script, 'zslab'], { encoding: 'utf8', env, cwd: folder })
        assert.equal(status, 0, stderr)
        assert.match(stderr, /Ran 13 tests/)
        assert.doesNotMatch(stderr, /skipped/)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  })
