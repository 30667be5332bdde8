/** The compiler's process from its snapshot, and where there is none that node takes: the same answers. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { CompilerProcess } from '../../kernel/wire/compiler.js'
import { build, ROOT } from './client.js'

describe('kernel: the compiler from a snapshot', function () {
  this.timeout(300_000)
  let folder: string
  before(() => {
    build()
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'snapshot-test-')))
    cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true })
    cpSync(join(ROOT, 'kernel/types'), join(folder, 'kernel/types'), { recursive: true })
    cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  })
  after(() => rmSync(folder, { recursive: true }))

  const parts = async (root: string) => {
    const load = (path: string) => import(pathToFileURL(join(root, 'dist/kernel', path)).href) as Promise<unknown>
    const { CompilerProcess: Made } = (await load('wire/compiler.js')) as { CompilerProcess: new () => CompilerProcess }
    const snapshot = (await load('compiler/snapshot.js')) as typeof import('../../kernel/compiler/snapshot.js')
    return { compiler: new Made(), ...snapshot }
  }
  const CELLS = [
    "import { readFileSync } from 'node:fs'\nconst text = 'a'.repeat(3)\nreadFileSync",
    'const n: number = "a"',
    'await Promise.all([1, 2])',
    "import * as own from 'zslab'\nimport { DataFrame } from 'danfojs-node'\nown", // whatever is noted of the types of packages
  ]
  const answers = async (compiler: CompilerProcess) => {
    const all = []
    for (const code of CELLS) all.push(await compiler.compile(code, 'Cell [1]'))
    const asked = { declarations: '', code: 'const samples = [1]; samples.', cursor: 29 }
    const { matches } = await compiler.ask('complete', asked)
    return { all, matches }
  }

  it('the build makes one, and it answers as the program itself does', async () => {
    const { compiler, snapshotPath } = await parts(ROOT)
    assert.ok(existsSync(snapshotPath()), 'the build made no snapshot')
    const bare = await parts(folder)
    assert.ok(!existsSync(bare.snapshotPath()))
    try {
      const found = await answers(compiler)
      assert.deepEqual(
        found.all.map(({ ok }) => ok),
        [true, false, true, true],
      )
      assert.ok(found.matches.some(({ text }) => text === 'map'))
      assert.deepEqual(found, await answers(bare.compiler))
    } finally {
      compiler.stop()
      bare.compiler.stop()
    }
  })

  it('one that node refuses is passed over', async () => {
    const { compiler, snapshotPath } = await parts(folder)
    mkdirSync(join(folder, 'build'), { recursive: true })
    writeFileSync(snapshotPath(), 'no snapshot')
    try {
      const { all } = await answers(compiler)
      assert.deepEqual(
        all.map(({ ok }) => ok),
        [true, false, true, true],
      )
    } finally {
      compiler.stop()
      rmSync(snapshotPath())
    }
  })
})
