/** Agreement of measures: what it is of by hand, and that its intervals hold what they promise. */
import assert from 'node:assert/strict'
import { agreementOf, reliabilityOf, resampledRanks, type Scored } from '../../../src/heads/agreement.js'
import { generator } from '../../../src/sampling.js'
import { ranked, spearman } from '../../../src/statistics/ranks.js'

const DRAWS = { seed: 1, resamples: 100 }
const normal = (draw: () => number) => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())

function scored(name: string, perText: Float64Array[], ownTexts = false): Scored {
  const values = perText[0].map((_, head) => perText.reduce((sum, text) => sum + text[head], 0) / perText.length)
  return { name, values, perText, ownTexts }
}

/** Two measures of heads whose true scores agree in part, seen on texts with noise. */
function simulated(draw: () => number, heads: number, texts: number, noise: number) {
  const common = Float64Array.from({ length: heads }, () => normal(draw))
  const truth = [0, 1].map(() => common.map((value) => value + 0.7 * normal(draw)))
  const measures = truth.map((own, i) =>
    scored(
      `m${i}`,
      Array.from({ length: texts }, () => own.map((value) => value + noise * normal(draw))),
    ),
  )
  return { truth, measures }
}

const agreed = (a: Scored, b: Scored, draws = DRAWS) => agreementOf(resampledRanks(a, draws), resampledRanks(b, draws))

describe('agreement of measures', () => {
  it('is of the heads that both have', () => {
    const a = scored('a', [Float64Array.of(1, 2, 3, NaN, 5)])
    const b = scored('b', [Float64Array.of(2, 4, NaN, 1, 10)])
    const found = agreed(a, b, DRAWS)
    assert.equal(found.heads, 3)
    assert.deepEqual(found.spearman, { value: 1, low: null, high: null })
    assert.equal(found.kendall.value, 1)
    assert.equal(found.top.value, 1)
  })

  it('of nothing in common, or a constant, there is none', () => {
    const a = scored('a', [Float64Array.of(1, NaN)])
    assert.equal(agreed(a, scored('b', [Float64Array.of(NaN, 1)]), DRAWS).spearman.value, null)
    assert.equal(agreed(a, scored('b', [Float64Array.of(3, 3)]), DRAWS).kendall.value, null)
  })

  it('its intervals hold what texts without end would say in 90 to 98 of 100 sets of 8 texts', () => {
    const draw = generator(5)
    let held = 0
    for (let set = 0; set < 200; set++) {
      const { truth, measures } = simulated(draw, 60, 8, 0.6)
      const expected = spearman(ranked(truth[0]), ranked(truth[1]))!
      const { spearman: found } = agreed(measures[0], measures[1], { seed: set, resamples: 50 })
      if (found.low! <= expected && expected <= found.high!) held++
    }
    assert.ok(held >= 180 && held <= 197, `${held} of 200`)
  })

  it('a measure whose texts are pooled in another way is not taken for a biased one', () => {
    const { measures } = simulated(generator(13), 60, 8, 0.6)
    const [a, b] = measures
    const plain = agreed(a, b).spearman
    const pooled = { ...b, values: b.values.map((value, head) => value + 0.8 * Math.sin(head)) }
    const found = agreed(a, pooled).spearman
    assert.ok(Math.abs(found.value! - plain.value!) > 0.05, `${found.value} ${plain.value}`)
    // On the scale where errors are alike: as far from its own value as that of the mean is from its.
    const off = (one: typeof plain) => Math.atanh(one.low!) + Math.atanh(one.high!) - 2 * Math.atanh(one.value!)
    assert.ok(Math.abs(off(found) - off(plain)) < 1e-9, `${off(found)} ${off(plain)}`)
  })

  it('a measure of sequences of its own stays while texts are left out', () => {
    const draw = generator(7)
    const { measures } = simulated(draw, 40, 6, 0.3)
    const own = { ...measures[1], perText: measures[1].perText.slice(0, 2), ownTexts: true }
    const found = agreed(measures[0], own, DRAWS)
    assert.ok(found.spearman.low! < found.spearman.value! && found.spearman.value! < found.spearman.high!)
    const neither = agreed({ ...measures[0], ownTexts: true }, own, DRAWS)
    assert.equal(neither.spearman.low, null)
    assert.ok(neither.spearman.value! > 0)
  })
})

describe('texts that say nothing of a head', () => {
  it('are left out of its means; where a draw has no other there is no interval', () => {
    const draw = generator(11)
    const { measures } = simulated(draw, 30, 12, 0.5)
    const [a, b] = measures
    const silent = (...texts: number[]) =>
      scored(
        'silent',
        a.perText.map((values, i) => values.map((value, head) => (head === 4 && texts.includes(i) ? NaN : value))),
      )
    const one = { ...silent(3), values: a.values }
    const found = agreed(one, b)
    assert.equal(found.heads, 30)
    assert.ok(found.spearman.low! < found.spearman.value! && found.kendall.value! < found.kendall.high!)
    const most = { ...silent(...Array.from({ length: 11 }, (_, i) => i)), values: a.values }
    assert.deepEqual([agreed(most, b).spearman.low, agreed(most, b).top.high], [null, null])
    assert.equal(agreed(most, b).spearman.value, agreed(a, b).spearman.value)
  })
})

describe('reliability of a measure', () => {
  it('is how far its halves agree, and what all texts would', () => {
    const { measures } = simulated(generator(3), 200, 10, 1)
    const { halves, all } = reliabilityOf(measures[0])
    const mean = (odd: number) =>
      measures[0].values.map((_, head) => {
        const texts = measures[0].perText.filter((_, i) => i % 2 === odd)
        return texts.reduce((sum, text) => sum + text[head], 0) / texts.length
      })
    assert.equal(halves, spearman(ranked(mean(0)), ranked(mean(1))))
    assert.equal(all, (2 * halves!) / (1 + halves!))
  })

  it('is of the texts that say something', () => {
    const { measures } = simulated(generator(3), 50, 5, 1)
    const [a, b, c, d, e] = measures[0].perText
    const silent = a.map(() => NaN)
    assert.deepEqual(reliabilityOf({ perText: [a, silent, b, c, d, silent, e] }), reliabilityOf(measures[0]))
    assert.deepEqual(reliabilityOf({ perText: [a, silent] }), { halves: null, all: null })
  })

  it('one text has none', () => {
    assert.deepEqual(reliabilityOf({ perText: [Float64Array.of(1, 2)] }), { halves: null, all: null })
  })
})
