/** A run provides what figures are drawn from: the shapes fit (checked by the compiler) and the numbers agree. */
import assert from 'node:assert/strict'
import type { RunData, ShadowData } from '../../src/figures/data.js'
import { adakv, figures, fullCache, load, zsmerge } from '../../src/index.js'
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

  it('says what merged slots get, also where another policy shares the slots out', async () => {
    const model = await load(toyPath, { weights: 'float32', progress: false })
    const alphaOf = async (policy: ReturnType<typeof zsmerge>) => {
      const run = await model.session({ policy }).generate([1, 2, 3], { maxTokens: 1, progress: false })
      return run.data().alpha
    }
    assert.equal(await alphaOf(zsmerge({ budget: 24, recent: 8, residual: 2, alpha: 0.5 })), 0.5)
    assert.equal(await alphaOf(adakv({ of: zsmerge({ budget: 24, recent: 8, residual: 2, alpha: 0.25 }) })), 0.25)
    assert.equal(await alphaOf(fullCache()), undefined)
    model.dispose()
  })

  it('is drawn as what the cache holds, in every head', async () => {
    const model = await load(toyPath, { weights: 'float32', progress: false })
    const prompt = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
    for (const policy of [
      zsmerge({ budget: 24, recent: 4, residual: 2 }),
      zsmerge({ budget: 24, recent: 4, residual: 3, init: 'similarity', similarity: 'cosine' }),
      zsmerge({ budget: 70, recent: 8, residual: 2 }),
      zsmerge({ budget: 70, recent: 8, residual: 2, mode: 'reference' }),
    ]) {
      const run = await model
        .session({ policy, trace: true })
        .generate(prompt, { maxTokens: 40, ignoreEos: true, progress: false })
      const data: RunData = run.data()
      let merged = 0
      for (let layer = 0; layer < data.layers; layer++)
        for (let kvHead = 0; kvHead < data.kvHeads; kvHead++) {
          const slots = data.origins[layer].kvHeads[kvHead].slice(0, data.origins[layer].residual[kvHead])
          const { columns } = figures.mergeLineage(run, { layer, kvHead })
          slots.forEach((members, slot) => {
            const card = figures.residualCard(run, { layer, kvHead, slot }).columns
            const own = (name: string) => (columns[name] as number[]).filter((_, row) => columns.slot[row] === slot)
            assert.deepEqual(
              [...own('position')].sort((a, b) => a - b),
              Array.from(members).sort((a, b) => a - b),
            )
            assert.deepEqual(card.position, own('position'))
            const steps = own('step')
            assert.deepEqual(
              [...steps].sort((a, b) => a - b),
              steps,
            )
            assert.equal((card.compensation as number[])[members.length - 1], Math.log(members.length))
            merged += members.length
          })
        }
      assert.ok(merged > 0)
      // Nobody leaves while it is among the newest, and some leave as soon as they are not.
      const { columns } = figures.survival(run)
      const leftAt = (ages: (age: number) => boolean) =>
        (columns.age as number[]).reduce((sum, age, row) => {
          if (columns.clock[row] !== 'age' || !ages(age)) return sum
          return sum + (columns.merged[row] as number) + (columns.dropped[row] as number)
        }, 0)
      assert.equal(
        leftAt((age) => age < data.resolved.recent),
        0,
      )
      assert.ok(leftAt((age) => age === data.resolved.recent) > 0)
    }
    model.dispose()
  })
})
