/** Readers of one stream of tokens: each gets all of them, and the work goes on while one still reads. */
import assert from 'node:assert/strict'
import { setImmediate as soon } from 'node:timers/promises'
import { TokenStream, type Token } from '../../../src/generate/stream.js'

function stream(count: number, fails = false) {
  return new TokenStream<string>(async (emit, left) => {
    for (let id = 0; id < count; id++) {
      await soon()
      if (left.aborted) return `left at ${id}`
      emit({ id, text: String(id), logprob: 0 })
    }
    if (fails) throw new Error('broken')
    return 'done'
  })
}

async function read(tokens: AsyncIterable<Token>, most = Infinity): Promise<number[]> {
  const ids: number[] = []
  for await (const { id } of tokens) {
    ids.push(id)
    if (ids.length >= most) break
  }
  return ids
}

describe('a stream of tokens', () => {
  const five = [0, 1, 2, 3, 4]

  it('gives all tokens to every reader, at once, later and one after another', async () => {
    const tokens = stream(5)
    const late = read(tokens, 1).then(() => read(tokens))
    assert.deepEqual(await Promise.all([read(tokens), read(tokens), late]), [five, five, five])
    assert.deepEqual(await read(tokens), five)
    assert.equal(await tokens, 'done')
  })

  it('goes on when one reader leaves, stops when the last one does', async () => {
    const tokens = stream(5)
    assert.deepEqual(await Promise.all([read(tokens), read(tokens, 2)]), [five, [0, 1]])
    assert.equal(await tokens, 'done')
    const left = stream(1000)
    await Promise.all([read(left, 2), read(left, 4)])
    assert.match(await left, /^left at \d$/)
  })

  it('tells every reader what failed', async () => {
    const tokens = stream(2, true)
    for (const reader of await Promise.allSettled([read(tokens), read(tokens), tokens]))
      assert.match(String((reader as PromiseRejectedResult).reason), /broken/)
  })
})
