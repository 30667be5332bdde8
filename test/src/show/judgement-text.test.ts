/** How a judgement reads: short lines, each number under its like, the digits that tell areas apart. */
import assert from 'node:assert/strict'
import { judgementText } from '../../../src/show/judgement-text.js'

describe('a judgement as text', () => {
  const interval = (mean: number, half: number | null) => ({
    mean,
    low: half === null ? null : mean - half,
    high: half === null ? null : mean + half,
  })
  /** The areas of judged measures, the first the best, and of random orders; `half` of every interval. */
  const judged = (areas: Record<string, number>, random: number, half: number | null) => {
    const [best] = Object.keys(areas)
    const one = (name: string, area: number) => ({
      name,
      curve: [{ taken: 3, share: 0.25 }],
      area: { kl: interval(area, half) },
      overBest: name === best ? null : interval(area - areas[best], half),
      overRandom: name === 'random' ? null : interval(area - random, half),
    })
    return judgementText({
      measures: Object.fromEntries(Object.entries(areas).map(([name, area]) => [name, one(name, area)])),
      random: one('random', random),
      best,
      facts: {
        take: 'ablate',
        budget: null,
        policy: null,
        count: 12,
        texts: [{ tokens: 30 }, { tokens: 40 }],
        sameTexts: true,
        rows: 8,
        seeds: [1],
        card: { model: { name: 'toy' }, weights: 'float32' },
      },
    })
  }

  it('is what was done, a table from the least area on, and what its columns are', () => {
    assert.deepEqual(judged({ entropy: 0.123456, inductionNextAndMore: 2.5 }, 1.25, 0.25).split('\n'), [
      'Judge of 2 measures of heads of toy, weights float32',
      'output of the least query heads zeroed, up to 3 of 12',
      '2 texts of 30 to 40 tokens, those that were measured on; KL over their last 8 rows',
      '',
      '                      area                   over entropy    over random',
      'entropy               0.123 [−0.127, 0.373]  the least       [−1.377, −0.877]',
      'random                1.250 [ 1.000, 1.500]  [0.877, 1.377]',
      'inductionNextAndMore  2.500 [ 2.250, 2.750]  [2.127, 2.627]  [ 1.000,  1.500]',
      '',
      'area: under KL [nats] over the share of heads, mean over texts and its 95% interval',
      'over: difference of areas, text by text, its 95% interval',
      'random: mean of 1 random order',
      'next: .of(name).curve, .difference(a, b), .table(), frame(), csv(), JSON.stringify()',
    ])
  })

  it('of too few texts has the differences alone', () => {
    const lines = judged({ entropy: 0.5, kvzip: 1 }, 0.75, null).split('\n')
    assert.deepEqual(lines.slice(4, 12), [
      '         area   over entropy  over random',
      'entropy  0.500  the least     −0.250',
      'random   0.750  0.250',
      'kvzip    1.000  0.500          0.250',
      '',
      'area: under KL [nats] over the share of heads, mean over texts',
      'over: difference of areas, text by text',
      'random: mean of 1 random order',
    ])
  })

  it('has the digits that tell the least areas apart, bounded where one is next to nothing; nothing at all is 0', () => {
    const least = (area: number) => judged({ entropy: area }, 2.5, null).split('\n')[5]
    assert.match(least(0.0361), /^entropy +0\.0361 /)
    assert.match(least(1e-12), /^entropy +0\.0000 /)
    assert.match(least(0), /^entropy +0\.00 /)
    assert.match(judged({ entropy: 0 }, 0, null), /^entropy +0 +the least +0$/m)
    assert.match(judged({ entropy: 123.4 }, 2500, null), /^entropy +123 /m)
  })

  it('fits a terminal, and a page 800 pixels wide, with the longest names', () => {
    const text = judged({ effectiveTokens: 0.00123, previousAbs: 12.5, gradientFree: 0.5 }, 3, 0.5)
    assert.ok(
      text.split('\n').every(({ length }) => length <= 85),
      text,
    )
  })
})
