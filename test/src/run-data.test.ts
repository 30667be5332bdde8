/** A run provides what figures are drawn from: the shapes fit (checked by the compiler) and the numbers agree. */
import assert from 'node:assert/strict'
import type { RunData, ShadowData } from '../../src/figures/data.js'
import { load, zsmerge } from '../../src/index.js'
import { toyPath } from './model/files.js'

describe('run data', () => {
  it('is what figures want', async () => {
    const model = await load(toyPath, { weights: 'float32', progress: false })
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    const prompt = Array.from({ length: 40 }, (_, i) => (i * 7) % 250)
    const run = await session.generate(prompt, { maxTokens: 9, ignoreEos: true, progress: false })
    const data: RunData = run.data()
    assert.deepEqual([data.promptTokens, data.steps, data.tokens.length], [40, 8, 48])
    data.tokens.forEach((token, i) => assert.deepEqual([token.position, token.prompt], [i, i < 40]))
    assert.deepEqual(
      data.tokens.map((token) => token.id),
      [...prompt, ...run.tokens.slice(0, 8)],
    )
    assert.equal(data.events?.count, data.events?.step.length)
    assert.equal(run.trace.events().shape[0], data.events?.count)
    assert.equal(data.origins.length, data.layers)
    for (const { kvHeads } of data.origins) {
      assert.equal(kvHeads.length, data.kvHeads)
      for (const slots of kvHeads) {
        const positions = slots.flatMap((slot) => Array.from(slot)).sort((a, b) => a - b)
        assert.deepEqual(
          positions,
          data.tokens.map((token) => token.position),
        )
      }
    }
    assert.equal(
      data.bytes.parts.reduce((sum, part) => sum + part.bytes, 0),
      data.bytes.total,
    )
    const shadow: ShadowData = await run.shadow()
    assert.deepEqual(
      [shadow.tokens.length, shadow.flips.length, shadow.top1.length, shadow.fullTop1.length],
      [9, 9, 9, 9],
    )
    assert.deepEqual(shadow.top1, run.tokens) // greedy: what the policy found likeliest
    model.dispose()
  })
})
