/** What judging is made of: random orders, shares of heads, who is best, and differences text by text. */
import assert from 'node:assert/strict'
import { type Damage } from '../../../src/heads/damage.js'
import { randomOrder } from '../../../src/sampling.js'
import { judgedOf, type JudgementFacts } from '../../../src/heads/judged.js'
import { Judgement } from '../../../src/heads/judgement.js'
import { headImportance, load } from '../../../src/index.js'
import { toyPath } from '../model/files.js'

const PLACES = { points: [{ taken: 2, share: 0.5 }], perLayer: 2, seed: 1 }

/** Of [kl, loss] of each text. */
const judged = (name: string, damage: readonly [number, number][]) =>
  judgedOf(
    name,
    Int32Array.of(0, 1, 2, 3),
    damage.map(([kl, loss]): Damage[] => [{ kl, loss }]),
    PLACES,
  )

describe('judging', () => {
  it('random orders: every one as likely', () => {
    const counts = new Map<string, number>()
    for (let seed = 0; seed < 6000; seed++) {
      const order = randomOrder(3, seed * 7919).join()
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    assert.equal(counts.size, 6)
    for (const [order, count] of counts) assert.ok(Math.abs(count - 1000) < 90, `${order}: ${count} of 6000`)
  })

  it('the best does least in KL; differences are of the same texts', () => {
    // Texts differ much, orders by the same in each of them.
    const texts = [1, 2, 4, 8, 16, 32, 64]
    const a = judged(
      'a',
      texts.map((text) => [text, 2 * text]),
    )
    const b = judged(
      'b',
      texts.map((text) => [text + 0.5, text]),
    )
    const random = judged(
      'random',
      texts.map((text) => [text + 1, text]),
    )
    const made = new Judgement([b, a], random, { seeds: [1] } as unknown as JudgementFacts)
    assert.equal(made.best, 'a')
    const { mean, low, high } = made.of('b').overBest!
    for (const one of [mean, low!, high!]) assert.ok(Math.abs(one - 0.125) < 1e-9, String(one))
  })

  it('a share of heads is the nearest number of them, one at least', async () => {
    const model = await load(toyPath, { threads: 2, progress: false })
    const quiet = { progress: false } as const
    const found = await headImportance(
      model,
      Array.from({ length: 20 }, (_, i) => 5 + i),
      { by: 'entropy', ...quiet },
    )
    const { curve } = (await found.judge({ shares: [0.01, 0.22, 0.21, 0.54], randomOrders: 1, ...quiet })).of('entropy')
    model.dispose()
    assert.deepEqual(
      curve.map(({ taken }) => taken),
      [1, 3, 6],
    )
  })
})
