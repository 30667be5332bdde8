/** Intervals, rank correlations and certified choices: against scipy (scripts/make-statistics-golden.py), and by what they promise over many draws. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { generator } from '../../../src/sampling.js'
import { certifiedChoice, textsNeeded } from '../../../src/statistics/conformal.js'
import { meanInterval, type IntervalOptions } from '../../../src/statistics/intervals.js'
import { kendall, ranked, spearman, topOverlap } from '../../../src/statistics/ranks.js'

interface Golden {
  pairs: { a: number[]; b: number[]; ranks: number[]; spearman: number; kendall: number }[]
  student: { values: number[]; low: number; high: number }[]
  bca: { values: number[]; low: number; high: number }[]
}
const golden = JSON.parse(readFileSync(new URL('../../golden/statistics.json', import.meta.url), 'utf8')) as Golden

const near = (found: number | null, expected: number, tolerance: number) =>
  assert.ok(found !== null && Math.abs(found - expected) <= tolerance, `${found}, expected ${expected}`)

const normal = (draw: () => number) => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())

describe('rank correlations', () => {
  golden.pairs.forEach(({ a, b, ...expected }, i) =>
    it(`of pair ${i} (${a.length} values) as scipy has them`, () => {
      assert.deepEqual(Array.from(ranked(a).ranks), expected.ranks)
      near(spearman(ranked(a), ranked(b)), expected.spearman, 1e-12)
      near(kendall(ranked(a), ranked(b)), expected.kendall, 1e-12)
    }),
  )

  it('are null where all are equal', () => {
    assert.equal(spearman(ranked([1, 1, 1]), ranked([1, 2, 3])), null)
    assert.equal(kendall(ranked([1, 2, 3]), ranked([4, 4, 4])), null)
  })

  it('overlap of the largest quarter: equals at its border count in part, and a list is all of itself', () => {
    assert.equal(topOverlap(ranked([8, 7, 6, 5, 4, 3, 2, 1]), ranked([8, 1, 7, 2, 3, 4, 5, 6])), 0.5)
    assert.equal(topOverlap(ranked([9, 1, 1, 1]), ranked([9, 1, 1, 1])), 1)
    assert.equal(topOverlap(ranked([1, 1, 1, 1, 0, 0, 0, 0]), ranked([1, 1, 1, 1, 0, 0, 0, 0])), 1)
    // Two seats for four equals: each has half of one, and b's two hold theirs.
    assert.equal(topOverlap(ranked([1, 1, 1, 1, 0, 0, 0, 0]), ranked([2, 2, 0, 0, 0, 0, 0, 0])), 0.5)
  })
})

describe('intervals of means', () => {
  for (const { values, low, high } of golden.student)
    it(`of ${values.length} texts: Student’s, as scipy has it`, () => {
      const found = meanInterval(values)
      assert.equal(found.method, 'student')
      near(found.low, low, 1e-9)
      near(found.high, high, 1e-9)
    })

  for (const { values, low, high } of golden.bca)
    it(`of ${values.length} texts: BCa, as scipy has it but for what was drawn`, () => {
      const found = meanInterval(values, { seed: 3, resamples: 100_000 })
      assert.equal(found.method, 'bca')
      assert.deepEqual(found.draws, { seed: 3, resamples: 100_000 })
      near(found.low, low, 0.01 * (high - low))
      near(found.high, high, 0.01 * (high - low))
    })

  it('hold the mean in 93 to 97 of 100 sets of 8, 16 and 30 texts; studentised ones where values are skewed, too', () => {
    const held = (texts: number, value: (draw: () => number) => number, mean: number, options: IntervalOptions) => {
      const draw = generator(texts)
      let count = 0
      for (let set = 0; set < 2000; set++) {
        const values = Float64Array.from({ length: texts }, () => value(draw))
        const { low, high } = meanInterval(values, { seed: set * 7919, resamples: 500, ...options })
        if (low! <= mean && mean <= high!) count++
      }
      return count / 2000
    }
    const holds = (share: number) => assert.ok(share >= 0.93 && share <= 0.97, `${share}`)
    for (const texts of [8, 16, 30]) holds(held(texts, normal, 0, {}))
    holds(held(30, (draw) => -Math.log(1 - draw()), 1, { method: 'studentised' }))
  })

  it('of five texts there is none, of equal values no width; the same seed gives the same one', () => {
    assert.deepEqual(meanInterval([1, 2, 3, 4, 5]), {
      mean: 3,
      low: null,
      high: null,
      method: 'none',
      level: 0.95,
      texts: 5,
    })
    const { low, high } = meanInterval(new Float64Array(40).fill(2), { seed: 1 })
    assert.deepEqual([low, high], [2, 2])
    const same = meanInterval(new Float64Array(40).fill(2), { seed: 1, method: 'studentised' })
    assert.deepEqual([same.low, same.high], [2, 2])
    const values = Float64Array.from({ length: 30 }, (_, i) => i * i)
    const first = meanInterval(values)
    assert.deepEqual(meanInterval(values, { seed: first.draws!.seed }), first)
  })

  it('says what is no number, no method, no level', () => {
    assert.throws(() => meanInterval([1, NaN, 2]), /a finite number, one for each text.*values\[1\]/)
    assert.throws(() => meanInterval([1, 2], { method: 'guess' as 'bca' }), /'student', 'bca', 'studentised'/)
    assert.throws(() => meanInterval([1, 2], { level: 95 }), /level/)
  })
})

describe('certified choices', () => {
  it('the first whose corrected risk is at most the level; larger ones that are worse count against smaller ones', () => {
    const losses = Array.from({ length: 99 }, () => [0.9, 0.05, 0.2, 0])
    const { choice, risks } = certifiedChoice(losses, { level: 0.1, bound: 1 })
    assert.deepEqual(
      Array.from(risks, (risk) => Math.round(risk * 1e9) / 1e9),
      [0.9, 0.2, 0.2, 0],
    )
    assert.equal(choice, 3)
    // (99 · 0.0909 + 1) / 100 is 0.09999, the next thousandth is above.
    assert.equal(
      certifiedChoice(
        losses.map(() => [0.0909]),
        { level: 0.1, bound: 1 },
      ).choice,
      0,
    )
    assert.equal(
      certifiedChoice(
        losses.map(() => [0.0919]),
        { level: 0.1, bound: 1 },
      ).choice,
      null,
    )
  })

  it('losses are clipped to the bound, and none below 0 makes up for another', () => {
    const { risks } = certifiedChoice([[50], [-3], [0], [0], [0]], { level: 1, bound: 4 })
    assert.equal(risks[0], 4 / 5)
  })

  it('too few texts: how many are needed; nothing certified: why', () => {
    assert.equal(textsNeeded({ level: 0.1, bound: 1 }), 9)
    assert.throws(
      () => certifiedChoice(Array(8).fill([0]), { level: 0.1, bound: 1 }),
      /8 texts cannot certify.*at least 9/,
    )
    assert.equal(certifiedChoice(Array(9).fill([0]), { level: 0.1, bound: 1 }).choice, 0)
    assert.match(certifiedChoice(Array(20).fill([1, 0.5]), { level: 0.1, bound: 1 }).reason!, /0\.500 over 20 texts/)
    assert.throws(() => certifiedChoice([[0.5], [0.5, 1], [0]], { level: 0.5, bound: 1 }), /losses\[1\]/)
  })

  it('as many texts as are said to be needed do, one less does not', () => {
    const draw = generator(4)
    for (let i = 0; i < 5000; i++) {
      const level = i % 2 ? draw() + 1e-3 : Math.round(1 + 99 * draw()) / 100
      const bound = level * (i % 3 ? 1.1 + 20 * draw() : 2 + Math.floor(40 * draw()))
      const texts = textsNeeded({ level, bound })
      const of = (count: number) => certifiedChoice(Array<number[]>(count).fill([0]), { level, bound })
      assert.equal(of(texts).choice, 0, `${level} of ${bound}`)
      assert.throws(() => of(texts - 1), new RegExp(`at least ${texts} are needed`))
    }
  })

  it('hold their level within a point over 2,000 splits', () => {
    const draw = generator(12)
    const choices = 60
    const text = () => {
      // Most texts lose little, some much: the loss falls with the budget.
      const hard = -Math.log(1 - draw())
      return Float64Array.from({ length: choices }, (_, i) => Math.min(1, hard * 0.8 ** i * (0.8 + 0.4 * draw())))
    }
    let lost = 0
    for (let split = 0; split < 2000; split++) {
      const { choice } = certifiedChoice(Array.from({ length: 50 }, text), { level: 0.1, bound: 1 })
      lost += text()[choice!] / 2000
    }
    assert.ok(lost <= 0.1 + 0.01 && lost >= 0.06, `${lost}`)
  })
})
