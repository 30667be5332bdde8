/** Sign flips, Holm, clusters and the smallest effect: against scipy and statsmodels (scripts/make-statistics-golden.py), and by counting. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { generator } from '../../../src/sampling.js'
import { clusterMeans, smallestEffect } from '../../../src/statistics/clusters.js'
import { holm, leastHolmP } from '../../../src/statistics/holm.js'
import { meanInterval, type MeanInterval } from '../../../src/statistics/intervals.js'
import { medianOf, spreadOf } from '../../../src/statistics/moments.js'
import { paired } from '../../../src/statistics/paired.js'
import { leastP, signFlips } from '../../../src/statistics/sign-flips.js'

interface Golden {
  flips: { values: number[]; p: number }[]
  holm: { ps: number[]; adjusted: number[] }[]
}
const golden = JSON.parse(readFileSync(new URL('../../golden/statistics.json', import.meta.url), 'utf8')) as Golden

const near = (found: number, expected: number, tolerance = 1e-9) =>
  assert.ok(Math.abs(found - expected) <= tolerance, `${found}, expected ${expected}`)

const normal = (draw: () => number) => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())

describe('sign flips', () => {
  golden.flips.forEach(({ values, p }, i) =>
    it(`of set ${i} (${values.length} differences) as scipy counts them`, () => {
      const found = signFlips(values)
      near(found.p, p)
      assert.deepEqual([found.exact, found.differences, found.draws], [true, values.length, undefined])
    }),
  )

  it('all of one sign: the least that so many can give; the sign and the order do not matter', () => {
    for (const n of [1, 2, 6, 17, 40]) {
      const values = Array.from({ length: n }, (_, i) => 1 + i / 7)
      assert.equal(signFlips(values).p, leastP(n))
      assert.equal(signFlips(values.map((value) => -value)).p, leastP(n))
    }
    const draw = generator(5)
    const values = Array.from({ length: 23 }, () => draw() - 0.3)
    near(signFlips(values).p, signFlips([...values].reverse().map((value) => -value)).p)
  })

  it('counts by halves as by all patterns', () => {
    const draw = generator(11)
    for (let set = 0; set < 200; set++) {
      const n = 1 + Math.floor(draw() * 10)
      // Whole numbers: many sums are equal.
      const values = Array.from({ length: n }, () => Math.floor(draw() * 7) - 2)
      const seen = Math.abs(values.reduce((sum, value) => sum + value, 0))
      let count = 0
      for (let pattern = 0; pattern < 2 ** n; pattern++) {
        const sum = values.reduce((all, value, i) => all + ((pattern >> i) & 1 ? value : -value), 0)
        if (Math.abs(sum) >= seen) count++
      }
      near(signFlips(values).p, count / 2 ** n)
    }
  })

  it('of more than 40 draws patterns: near the counted share, the same with the same seed, never 0', () => {
    const draw = generator(2)
    const values = Array.from({ length: 40 }, () => draw() - 0.42)
    const counted = signFlips(values).p
    const drawn = signFlips([...values, 0], { seed: 3 })
    assert.ok(
      Math.abs(drawn.p - counted) < 5 * Math.sqrt((counted * (1 - counted)) / 100_000),
      `${drawn.p}, ${counted}`,
    )
    assert.deepEqual(signFlips([...values, 0], { seed: 3 }), drawn)
    assert.deepEqual([drawn.exact, drawn.draws], [false, { seed: 3, resamples: 100_000 }])
    const none = signFlips(new Float64Array(60).fill(1), { seed: 1, resamples: 1000 })
    assert.equal(none.p, 1 / 1001)
    assert.equal(signFlips(new Float64Array(50), { seed: 1, resamples: 100 }).p, 1)
  })

  it('reject what is true as often as they say', () => {
    const draw = generator(8)
    let found = 0
    for (let set = 0; set < 2000; set++)
      if (signFlips(Array.from({ length: 12 }, () => normal(draw))).p <= 0.05) found++
    // 0.05 of 4,096 patterns is a little less; four standard errors.
    assert.ok(Math.abs(found / 2000 - 0.05) < 0.02, `${found / 2000}`)
  })

  it('say what is no difference', () => {
    assert.throws(() => signFlips([]), /at least one, one for each cluster/)
    assert.throws(() => signFlips([1, NaN]), /a finite number, one for each cluster.*differences\[1\]/)
    assert.throws(() => signFlips([1], { draws: 3 } as never), /draws/)
  })
})

describe('several questions', () => {
  golden.holm.forEach(({ ps, adjusted }, i) =>
    it(`Holm’s p of set ${i} (${ps.length}) as statsmodels has them`, () =>
      Array.from(holm(ps)).forEach((p, at) => near(p, adjusted[at]))),
  )

  it('a design that can find nothing is known beforehand', () => {
    assert.equal(leastHolmP(6, 1), 1 / 32)
    assert.ok(leastHolmP(6, 2) > 0.05 && leastHolmP(7, 2) < 0.05)
    assert.equal(leastHolmP(1, 9), 1)
    assert.equal(holm([]).length, 0)
    assert.throws(() => holm([0.1, 1.1]), /a number from 0 to 1.*ps\[1\]/)
  })
})

describe('clusters', () => {
  it('count once each, however long, in order of first appearance', () => {
    const { names, means, sizes } = clusterMeans([1, 2, 3, 10], ['b', 'a', 'b', 'a'])
    assert.deepEqual(
      [names, Array.from(means), Array.from(sizes)],
      [
        ['b', 'a'],
        [2, 6],
        [2, 2],
      ],
    )
    assert.throws(() => clusterMeans([1, 2], ['a']), /2 names, one for each value/)
    assert.throws(() => clusterMeans([1, Infinity], ['a', 'a']), /a finite number.*values\[1\]/)
  })

  it('the smallest effect is found as often as asked', () => {
    const draw = generator(4)
    for (const clusters of [8, 24]) {
      const effect = smallestEffect(clusters, 1)
      let found = 0
      for (let study = 0; study < 2000; study++)
        if (signFlips(Array.from({ length: clusters }, () => effect + normal(draw))).p <= 0.05) found++
      assert.ok(found / 2000 > 0.76 && found / 2000 < 0.84, `${clusters}: ${found / 2000}`)
    }
    assert.equal(smallestEffect(1, 1), Infinity)
    assert.ok(smallestEffect(100, 1) < smallestEffect(10, 1))
    assert.throws(() => smallestEffect(8, 1, { power: 80 }), /power/)
  })
})

describe('paired differences', () => {
  const draw = generator(12)
  const study = (clusters: number, each: number, effect: number) => {
    const names: string[] = []
    const [a, b]: number[][] = [[], []]
    for (let c = 0; c < clusters; c++) {
      const [own, shift] = [normal(draw), normal(draw)]
      for (let i = 0; i < each; i++) {
        names.push(`text ${c}`)
        b.push(own + normal(draw))
        a.push(b.at(-1)! + effect + shift + 0.1 * normal(draw))
      }
    }
    return { a, b, names }
  }

  const holds = ({ low, high }: MeanInterval, truth: number) => (low! <= truth && truth <= high! ? 1 : 0)

  it('of clusters, not of what was measured in them: 95% intervals hold the truth in 93 to 97 of 100 studies', () => {
    for (const clusters of [8, 16, 30]) {
      let [held, alone] = [0, 0]
      for (let seed = 0; seed < 2000; seed++) {
        const { a, b, names } = study(clusters, 4, 0.3)
        const differences = a.map((value, i) => value - b[i])
        held += holds(meanInterval(clusterMeans(differences, names).means, { seed, resamples: 500 }), 0.3)
        if (seed < 200) alone += holds(meanInterval(differences, { seed, resamples: 500 }), 0.3)
      }
      assert.ok(held / 2000 >= 0.93 && held / 2000 <= 0.97, `${clusters}: ${held / 2000}`)
      assert.ok(alone / 200 < 0.85, `pairs that pass for independent: ${alone / 200}`)
    }
  })

  it('of 50 skewed ones, too, by the bootstrap that is the default there', () => {
    let held = 0
    for (let seed = 0; seed < 2000; seed++) {
      const found = meanInterval(
        Array.from({ length: 50 }, () => -Math.log(1 - draw())),
        { seed, resamples: 500 },
      )
      assert.equal(found.method, 'bca')
      held += holds(found, 1)
    }
    assert.ok(held / 2000 >= 0.93 && held / 2000 <= 0.97, `${held / 2000}`)
  })

  it('are a − b over clusters; interval and test are of the same means, and drawn with the same seed', () => {
    const { a, b, names } = study(9, 3, 1)
    const { means } = clusterMeans(
      a.map((value, i) => value - b[i]),
      names,
    )
    const found = paired(a, b, { clusters: names })
    assert.deepEqual(found.difference, meanInterval(means))
    assert.deepEqual(found.test, signFlips(means))
    assert.equal(found.smallest, smallestEffect(9, spreadOf(means)))
    assert.equal(paired([3, 5], [1, 1]).difference.mean, 3)
    const many = study(45, 1, 0)
    const differences = many.a.map((value, i) => value - many.b[i])
    for (const method of ['bca', 'student'] as const) {
      const drawn = paired(many.a, many.b, { seed: 5, method })
      assert.deepEqual(drawn.difference, meanInterval(differences, { seed: 5, method }))
      assert.deepEqual(drawn.test, signFlips(differences, { seed: 5 }))
    }
    const unseeded = paired(many.a, many.b)
    assert.equal(unseeded.test.draws!.seed, unseeded.difference.draws!.seed)
  })

  it('say of which kind an interval is and why; five clusters have none, but a test', () => {
    const { a, b, names } = study(5, 3, 5)
    const few = paired(a, b, { clusters: names })
    assert.deepEqual([few.difference.low, few.clusters, few.pairs, few.test.p], [null, 5, 15, leastP(5)])
    assert.match(few.why, /no interval: 5 clusters say too little.*at least 6/)
    assert.match(paired([1], [0]).why, /1 cluster says too little/)
    assert.equal(paired([1], [0]).smallest, null)
    const some = study(12, 1, 0)
    assert.match(paired(some.a, some.b).why, /Student’s interval: 12 clusters are fewer than 30/)
    const many = study(30, 1, 0)
    const found = paired(many.a, many.b)
    assert.match(found.why, /a BCa interval: 30 clusters are at least 30/)
    assert.deepEqual(paired(many.a, many.b, { seed: found.difference.draws!.seed }), found)
    assert.match(paired(many.a, many.b, { method: 'student' }).why, /as asked/)
  })

  it('say what is wrong', () => {
    assert.throws(() => paired([1, 2], [1]), /as many values as a has, 2/)
    assert.throws(() => paired([], []), /at least one value/)
    assert.throws(() => paired([1, NaN], [0, 0]), /a finite number, one for each pair.*a\[1\]/)
    assert.throws(() => paired([1, 2], [0, '0' as never]), /a finite number, one for each pair.*b\[1\]/)
    assert.throws(() => paired([1, 2], [0, 1], { clusters: ['a'] }), /2 names, one for each value/)
    assert.throws(() => paired([1], [0], { cluster: ['a'] } as never), /cluster/)
  })
})

describe('medians', () => {
  it('are the middle of those that are numbers, of none no number', () => {
    assert.deepEqual([medianOf([3, NaN, 1]), medianOf([3, 10, 2]), medianOf([NaN]), medianOf([])], [2, 3, NaN, NaN])
    assert.equal(medianOf(Float32Array.of(4, 1, 2, 3)), 2.5)
  })
})
