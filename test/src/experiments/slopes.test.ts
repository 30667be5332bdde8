/** Latin hypercubes: what they hold, and that their effects are those of statsmodels' least squares (scripts/make-statistics-golden.py). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { languageModelling, load, sweep, zsmerge } from '../../../src/index.js'
import { designOf, type Level, type Levels } from '../../../src/experiments/designs.js'
import { dimensionsOf, type Over, type Range } from '../../../src/experiments/dimensions.js'
import type { Row } from '../../../src/experiments/rows.js'
import { slopesAsked, slopesOf } from '../../../src/experiments/slopes.js'
import { triedOf } from '../../../src/experiments/tried.js'
import { generator, orderOf } from '../../../src/sampling.js'
import { leastSquares } from '../../../src/statistics/least-squares.js'
import { draws, toyPath } from '../model/files.js'
import { cases } from '../../scale.js'
import { near } from '../near.js'

const metric = { name: 'y', about: 'what was drawn', unit: '', better: 'less' } as const
const spread = (over: Over, runs: number, seed = 1) =>
  triedOf(dimensionsOf(over), designOf({ latinHypercube: { runs, seed } }))

const rowsOf = (settings: readonly Levels[], texts: readonly (readonly number[])[], clusters = texts.length) =>
  texts.flatMap((values, text) =>
    settings.map((levels, i): Row => {
      const cluster = `book ${text % clusters}`
      const prompt = { name: `text ${text}`, cluster, seed: 1, tokens: 1, sha256: 'x' }
      return {
        levels,
        trial: { key: `${text}-${i}`, policy: 'x', prompt, values: { y: values[i] }, unchanged: false },
      }
    }),
  )

describe('Latin hypercubes', () => {
  it('have each run in a part of its own, of every dimension', () => {
    const ranges = fc.record({
      from: fc.integer({ min: 1, max: 50 }),
      width: fc.integer({ min: 1, max: 500 }),
      log: fc.boolean(),
    })
    fc.assert(
      fc.property(
        fc.array(ranges, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 12, max: 40 }),
        fc.nat(1e6),
        (all, runs, seed) => {
          const over: Record<string, Range | Level[]> = { word: ['a', 'b', 'c'] }
          all.forEach(({ from, width, log }, i) => (over[`f${i}`] = { from, to: from + width, log }))
          const { settings } = spread(over, runs, seed)
          assert.equal(settings.length, runs + 1)
          assert.deepEqual(settings, spread(over, runs, seed).settings)
          for (const [i, { from, width, log }] of all.entries()) {
            const to = from + width
            const parts = settings.slice(1).map((levels) => {
              const value = Number(levels[`f${i}`])
              assert.ok(value >= from && value <= to)
              return runs * (log ? Math.log(value / from) / Math.log(to / from) : (value - from) / width)
            })
            // Each in [part, part + 1), up to the digits that levels are drawn to.
            parts.sort((a, b) => a - b).forEach((at, part) => assert.ok(at > part - 0.05 && at < part + 1.05, `${at}`))
          }
          for (const word of ['a', 'b', 'c']) {
            const count = settings.slice(1).filter((levels) => levels.word === word).length
            assert.ok(Math.abs(count - runs / 3) < 2, `${count} of ${runs}`)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  it('begin with the middle, and have whole numbers where they are asked for, each alike often', () => {
    const over = {
      window: { from: 1, to: 8, integer: true },
      decay: { from: 0.01, to: 1, log: true },
      init: ['position', 'similarity'],
    }
    const { settings } = spread(over, 64)
    assert.deepEqual(settings[0], { window: 5, decay: 0.1, init: 'position' })
    for (let value = 1; value <= 8; value++)
      assert.equal(settings.slice(1).filter(({ window }) => window === value).length, 8)
  })

  it('keep runs apart: nearest two are farther from each other than in nearly all that are drawn', () => {
    const nearest = (points: readonly (readonly number[])[]) => {
      let least = Infinity
      points.forEach((a, i) =>
        points.slice(0, i).forEach((b) => (least = Math.min(least, Math.hypot(a[0] - b[0], a[1] - b[1])))),
      )
      return least
    }
    const draw = generator(5)
    const column = () => Array.from(orderOf(12, draw), (part) => (part + draw()) / 12)
    const others = Array.from({ length: 200 }, () => {
      const [a, b] = [column(), column()]
      return nearest(a.map((x, i) => [x, b[i]]))
    })
    const range = { from: 0, to: 1 }
    const { settings } = spread({ a: range, b: range }, 12)
    const own = nearest(settings.slice(1).map(({ a, b }) => [Number(a), Number(b)]))
    assert.ok(others.filter((other) => other > own).length < 10)
  })

  it('refuse what they cannot be', () => {
    const range = { from: 0, to: 1 }
    assert.throws(() => spread({ a: [1, 2] }, 8), /needs a range/)
    assert.throws(() => spread({ a: range, b: range, c: range }, 3), /give at least 4/)
    assert.throws(() => designOf({ latinHypercube: { runs: 1 } }), /2 to 1000 for design\.latinHypercube\.runs/)
    assert.throws(() => designOf({ latinHypercube: { runs: 8, steps: 2 } }), /no option "steps"/)
    assert.throws(() => designOf({ latinHypercube: 8 }), /an object for design\.latinHypercube/)
    assert.throws(() => designOf({ fractional: 3, latinHypercube: { runs: 8 } }), /latinHypercube: \{ runs: 32 \}/)
    assert.throws(() => triedOf(dimensionsOf({ a: range }), 'grid'), /ranges are for design/)
  })
})

interface Told {
  effect: number
  low: number
  high: number
  p: number
  holm: number
}
interface Golden {
  settings: [number, number, string][]
  values: number[][]
  all: Told[]
  main: Told[]
  misfit: number[]
  explained: [number, number]
}

describe('slopes', () => {
  const { slopes } = JSON.parse(readFileSync(new URL('../../golden/statistics.json', import.meta.url), 'utf8')) as {
    slopes: Golden
  }
  const varied = dimensionsOf({
    a: { from: 0, to: 2 },
    b: { from: 0.01, to: 1, log: true },
    w: ['x', 'y', 'z'],
  })
  const settings = slopes.settings.map(([a, b, w]): Levels => ({ a, b, w }))
  const rows = rowsOf(settings, slopes.values)

  for (const interactions of [true, false])
    it(`are those of least squares for each text, over texts, ${interactions ? 'interactions too' : 'without interactions'}`, () => {
      const found = slopesOf(rows, { varied, settings }, metric, interactions, { seed: 1 })
      const [told, explained] = interactions ? [slopes.all, slopes.explained[0]] : [slopes.main, slopes.explained[1]]
      const all = [...found.main, ...found.interactions]
      assert.equal(all.length, told.length)
      assert.equal(found.fit!.without, null)
      assert.ok(Math.abs(found.fit!.explained! - explained) <= 1e-9)
      for (const [i, { effect, low, high, p, holm }] of told.entries()) {
        const { difference, test } = all[i].found!
        near(
          [difference.mean, difference.low!, difference.high!, test.p, all[i].holm!],
          [effect, low, high, p, holm],
          1e-9,
        )
      }
      if (!interactions)
        near(
          found.main.map(({ misfit }) => misfit!),
          slopes.misfit,
          1e-9,
        )
      assert.deepEqual(
        found.main.map(({ dimensions, from, to }) => [dimensions, from, to].flat()),
        [
          ['a', 0, 2],
          ['b', 0.01, 1],
          ['w', 'x', 'y'],
          ['w', 'x', 'z'],
        ],
      )
    })

  it('do not depend on the order of trials, and leave out those that failed, or all of a prompt that has too few', () => {
    const whole = slopesOf(rows, { varied, settings }, metric, true, { seed: 1 })
    const other = slopesOf(rows.toReversed(), { varied, settings }, metric, true, { seed: 1 })
    const means = (of: typeof whole) => [...of.main, ...of.interactions].map(({ found }) => found!.difference.mean)
    near(means(other), means(whole), 1e-9)
    const lacking = rows.map((row, i) =>
      i === 3 || (i >= 24 && i < 40) ? { ...row, trial: { ...row.trial, values: null, failed: 'x' } } : row,
    )
    const { main } = slopesOf(lacking, { varied, settings }, metric, true, { seed: 1 })
    assert.deepEqual([main[0].found!.pairs, main[0].found!.left], [8, 25])
    const none = slopesOf([], { varied, settings }, metric, true, { seed: 1 })
    assert.ok(none.main.every(({ found, holm }) => found === null && holm === null))
  })

  it('of few settings are main effects alone, and say so', () => {
    const { columns, without } = slopesAsked(varied, 19, true)
    assert.equal(columns.length, 4)
    assert.match(without!, /19 settings are too few for 5 interactions beside 4 main effects: from 20 on/)
    assert.equal(slopesAsked(varied, 20, true).columns.length, 9)
    assert.equal(slopesAsked(varied, 19, false).without, null)
  })

  it('recover a plane exactly, whatever its dimensions', () => {
    const value = fc.double({ min: -5, max: 5, noNaN: true })
    fc.assert(
      fc.property(fc.array(value, { minLength: 2, maxLength: 6 }), fc.nat(1e6), (effects, seed) => {
        const over = Object.fromEntries(effects.map((_, i) => [`f${i}`, { from: -i - 1, to: 2 + i }]))
        const tried = spread(over, 2 * effects.length + 4, seed)
        const y = tried.settings.map((levels) =>
          effects.reduce((sum, effect, i) => sum + effect * ((Number(levels[`f${i}`]) + i + 1) / (2 * i + 3)), 7),
        )
        const { main } = slopesOf(rowsOf(tried.settings, [y, y]), tried, metric, false, { seed: 1 })
        near(
          main.map(({ found }) => found!.difference.mean),
          effects,
          1e-9,
        )
      }),
      { numRuns: 30 },
    )
  })

  it('have intervals that cover what is true', () => {
    const over = { a: { from: 0, to: 1 }, b: { from: 0, to: 1 } }
    const studies = cases(2000, 250)
    let held = 0
    const draw = draws(11)
    const normal = () =>
      Math.sqrt(-2 * Math.log((draw(1e9) + 1) / (1e9 + 1))) * Math.cos((2 * Math.PI * draw(1e9)) / 1e9)
    const tried = spread(over, 8)
    for (let study = 0; study < studies; study++) {
      const texts = Array.from({ length: 8 }, () => {
        const own = 0.3 + normal()
        return tried.settings.map(({ a }) => own * Number(a) + normal())
      })
      const { low, high } = slopesOf(rowsOf(tried.settings, texts), tried, metric, false, { seed: 1 }).main[0].found!
        .difference
      if (low! <= 0.3 && high! >= 0.3) held++
    }
    // 95%, give or take four standard errors of so many studies.
    const error = Math.sqrt((0.95 * 0.05) / studies)
    assert.ok(Math.abs(held / studies - 0.95) < 4 * error, `${held} of ${studies}`)
  })

  it('are not told where only the choice of settings makes them, whatever p says', () => {
    const studies = cases(1000, 100)
    let [byP, told] = [0, 0]
    const draw = generator(7)
    for (let study = 0; study < studies; study++) {
      const range = { from: 0, to: 1 }
      // Only a does something, along a bow, to all texts alike but for their scale.
      const tried = spread({ a: range, b: range, c: range }, 12, study)
      const texts = Array.from({ length: 8 }, () => {
        const own = 1 + draw()
        return tried.settings.map(({ a }) => own * (Number(a) - 0.4) ** 2)
      })
      for (const { found, misfit, holm } of slopesOf(rowsOf(tried.settings, texts), tried, metric, false, {
        seed: 1,
      }).main.slice(1)) {
        if (holm! > 0.05) continue
        byP++
        if (Math.abs(found!.difference.mean) > misfit!) told++
      }
    }
    assert.ok(byP > studies, `${byP} by p alone`)
    assert.ok(told < 0.05 * 2 * studies, `${told} of ${2 * studies}`)
  })

  it('of columns that depend on one another are none', () => {
    const [a, b] = [Float64Array.of(1, 2, 3), Float64Array.of(1, 1, 1)]
    assert.equal(leastSquares([b, a, a.map((x) => 3 * x - 2)]), undefined)
    assert.equal(leastSquares([b, b]), undefined)
    assert.equal(leastSquares([b, Float64Array.of(0, 0, 0)]), undefined)
    const [mean] = leastSquares([b])!
    near(mean, [1 / 3, 1 / 3, 1 / 3])
  })
})

describe('studies over ranges', () => {
  it('run, tell slopes and compare whole settings', async () => {
    const model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    try {
      const draw = draws(19)
      const text = Array.from({ length: 6 }, () => Array.from({ length: 48 }, () => draw(model.description.vocabulary)))
      const study = sweep({
        model,
        task: languageModelling({ text, tokens: 40, rows: 4, storage: 'float32' }),
        policy: zsmerge,
        base: { budget: 12, recent: 4 },
        over: {
          alpha: { from: 0, to: 2 },
          decay: { from: 0.5, to: 1, log: true },
          residual: { from: 1, to: 4, integer: true },
        },
        design: { latinHypercube: { runs: 9 } },
      })
      const plan = await study.plan({ progress: false })
      assert.equal(plan.settings, 10)
      assert.match(plan.notes.join(), /10 settings are too few for 3 interactions/)
      assert.match(plan.notes.join(), /6 clusters cannot show any of 3 effects/)
      await study.run({ progress: false })
      assert.match(
        inspect(study),
        /a Latin hypercube of 9 runs of alpha from 0 to 2; decay from 0.5 to 1 in the logarithm/,
      )
      const effects = study.effects()
      assert.equal(effects.interactions.length, 0)
      assert.match(inspect(effects), /alpha from 0 to 2: .*could have shown/)
      assert.match(
        inspect(effects),
        /through the 10 settings of each prompt; the plane explains \d+% of how they differ/,
      )
      assert.match(inspect(effects), /too few for 3 interactions/)
      const [middle, other] = study.tried.settings
      assert.deepEqual(middle, { alpha: 1, decay: 0.707107, residual: 3 })
      assert.equal(study.compare(other, middle)!.pairs, 6)
      assert.throws(() => study.compare({ alpha: 0 }, { alpha: 2 }), /need decay, residual, too; .*effects\(\)/)
      assert.throws(
        () => study.compare({ ...other, alpha: 0 }, middle),
        /a level that was tried, one of .* for a\.alpha/,
      )
      assert.equal(study.summary().rows.length, 10)
    } finally {
      model.dispose()
    }
  })
})
