/** What `npm pack` takes: all that an installed package needs, and nothing that only a clone does. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../kernel/client.js'

interface Manifest {
  dependencies?: Record<string, string>
}
const manifest = (folder: string) => JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as Manifest

describe('the package', function () {
  this.timeout(300_000)

  it('holds kernel, command line, extension, native sources and the scripts that build them', () => {
    const words = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const { stdout, stderr } = spawnSync('npm', words, { cwd: ROOT, encoding: 'utf8' })
    const [{ files }] = JSON.parse(stdout || `no answer: ${stderr}`) as { files: { path: string }[] }[]
    const paths = files.map(({ path }) => path)
    for (const needed of [
      'dist/src/cli/main.js',
      'dist/src/index.d.ts',
      'dist/kernel/main.js',
      'dist/labextension/package.json',
      'kernel/kernelspec/logo-svg.svg',
      'kernel/labextension/package.json',
      'kernel/nbconvert/export.py',
      'kernel/nbconvert/zslab/index.html.j2',
      'kernel/nbconvert/zslab-latex/index.tex.j2',
      'kernel/types/cell-globals/index.d.ts',
      'native/include/zslab/zslab.h',
      'native/include/zslab/model.h',
      'CMakeLists.txt',
      'LICENSE',
      'scripts/build.mjs',
    ])
      assert.ok(paths.includes(needed), needed)
    for (const path of paths.filter((one) => one.startsWith('scripts/')))
      for (const [, imported] of readFileSync(join(ROOT, path), 'utf8').matchAll(/from '\.\/([^']+)'/g))
        assert.ok(paths.includes(`scripts/${imported}`), `${path} imports ${imported}`)
    const needless = paths.filter((path) =>
      /^(test|bench|notebooks|src|docs|shims|native\/(test|bench)|\.ci)\/|\.map$/.test(path),
    )
    assert.deepEqual(needless, [])
  })

  it('depends on everything that the copy of danfojs inside it needs', () => {
    const { dependencies = {} } = manifest('')
    const brought = ['danfojs-node', '@tensorflow/tfjs-node', 'xlsx'].map((name) => manifest(`node_modules/${name}`))
    const needed = brought.flatMap((one) => Object.keys(one.dependencies ?? {}))
    const missing = needed.filter(
      (name) => !(name in dependencies) && !['@tensorflow/tfjs-node', 'xlsx'].includes(name),
    )
    assert.deepEqual(missing, [])
    assert.ok(needed.includes('@tensorflow/tfjs-core'), 'the stand-in is what was read')
    assert.deepEqual(
      Object.values(dependencies).filter((version) => !/^\d/.test(version)),
      [],
      'npm can fetch each by its version',
    )
  })
})
