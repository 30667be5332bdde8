/**
 * Memory over a long life: caches and sessions that come and go leave nothing behind, the collector knows what they hold, calls
 * aborted in flight free theirs; and how much is resident at most. Native leaks are the sanitizers' (scripts/native-tests.mjs).
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { leftOut } from '../left-out.js'
import { defaultModel } from '../src/model/default-model.js'
import { toyPath } from '../src/model/files.js'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const MB = 1e6

async function child<T>(...words: string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, words, { maxBuffer: 1 << 24 })
  return JSON.parse(stdout) as T
}
const grown = <T>(...words: string[]) =>
  child<T & { before: { rss: number }; after: { rss: number } }>(
    '--expose-gc',
    '--import=tsx',
    path('children.ts'),
    ...words,
  )

describe('memory', function () {
  this.timeout(300_000)

  it('100 caches of 4 MB and their forks, half of them left to the collector, leave nothing', async () => {
    const { before, after, bytes } = await grown<{ bytes: number }>('caches')
    const growth = after.rss - before.rss
    assert.ok(growth < 5 * bytes, `grew by ${growth / MB} MB; all that lived: ${(200 * bytes) / MB} MB`)
  })

  it('the collector is told what caches hold, so that forgotten ones go by themselves', async () => {
    interface Collected {
      count: number
      full: number
    }
    const { small, large } = await child<Record<'small' | 'large', Collected>>(
      '--import=tsx',
      path('children.ts'),
      'told',
    )
    assert.ok(large.count > 100, `${large.count} of 200 large forks were collected`)
    // One collection now and then has reasons of its own.
    assert.ok(
      large.full > 10 && small.full < large.full / 4,
      `${small.full} collections for small ones, ${large.full} for large`,
    )
  })

  it('100 sessions of the toy model leave nothing', async () => {
    const { before, after, ok } = await grown<{ ok: boolean }>('sessions', toyPath)
    assert.ok(ok)
    const growth = after.rss - before.rss
    assert.ok(growth < 12 * MB, `grew by ${growth / MB} MB`)
  })

  it('100 calls aborted in flight, half of their caches disposed meanwhile, leave nothing', async () => {
    const { before, after, reasons, bytes } = await grown<{ reasons: Record<string, number>; bytes: number }>('aborted')
    assert.ok(reasons.AbortError > 50, JSON.stringify(reasons))
    for (const reason of Object.keys(reasons)) assert.ok(['AbortError', 'done', 'ZslabError'].includes(reason), reason)
    const growth = after.rss - before.rss
    assert.ok(growth < 8 * bytes, `grew by ${growth / MB} MB; all that lived: ${(100 * bytes) / MB} MB`)
  })

  it('a prompt of 8192 tokens whose rows all count takes at most 64 MB beside its caches', async () => {
    if (process.platform !== 'linux') return leftOut('peak of resident memory: no /proc', 'run the tests on Linux')
    await defaultModel()
    const { peak, before, caches, ok } = await child<Record<'peak' | 'before' | 'caches', number> & { ok: boolean }>(
      path('prompt.mjs'),
      '8192',
    )
    assert.ok(ok)
    assert.ok(caches > 20 * MB, `caches ${caches / MB} MB`)
    const rest = peak - before - caches
    assert.ok(rest <= 64 * MB, `${peak / MB} MB, ${rest / MB} MB of them neither there before nor caches`)
  })

  it('resident is at most weights + caches + 250 MB', async () => {
    if (process.platform !== 'linux') return leftOut('peak of resident memory: no /proc', 'run the tests on Linux')
    await defaultModel()
    const { peak, weights, caches, ok } = await child<Record<'peak' | 'weights' | 'caches', number> & { ok: boolean }>(
      path('resident.mjs'),
    )
    assert.ok(ok)
    assert.ok(weights === 96_576_768 && caches > 50 * MB, `weights ${weights / MB} MB, caches ${caches / MB} MB`)
    const rest = peak - weights - caches
    assert.ok(rest <= 250 * MB, `${peak / MB} MB, ${rest / MB} MB of them neither weights nor caches`)
  })
})
