/** Where npm ran no install scripts, the first command builds what is missing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../kernel/client.js'

it('a clone that is not built: the first command builds, says so, and runs; a failed build ends it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-unbuilt-'))
  try {
    mkdirSync(join(folder, 'scripts'))
    const command = join(folder, 'scripts/zslab.mjs')
    copyFileSync(join(ROOT, 'scripts/zslab.mjs'), command)
    const run = () => spawnSync(process.execPath, [command, 'policies'], { encoding: 'utf8' })
    // In the build's place: it writes a command that tells its words.
    const build = join(folder, 'scripts/build.mjs')
    writeFileSync(build, 'process.exit(1)')
    assert.deepEqual([run().status, run().stdout], [1, ''])
    const main = `console.log(process.argv.slice(2).join())`
    writeFileSync(
      build,
      `import { mkdirSync, writeFileSync } from 'node:fs'
       const folder = new URL('../dist/src/cli/', import.meta.url)
       mkdirSync(folder, { recursive: true })
       writeFileSync(new URL('main.js', folder), ${JSON.stringify(main)})
       console.log('built')`,
    )
    const first = run()
    assert.equal(first.stdout, 'policies\n')
    assert.match(first.stderr, /not built yet .*\nbuilt\n/)
    const second = run()
    assert.deepEqual([second.stdout, second.stderr], ['policies\n', ''])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
