/** Designs: what they hold, and that fractions have the resolution that is asked for, in as few runs as can be. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { combinationsOf, designOf, smallest, type Level } from '../../../src/experiments/designs.js'
import { effectsAsked, effectsOf } from '../../../src/experiments/effects.js'
import type { Row } from '../../../src/experiments/rows.js'

const two = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, ['off', 'on']]))
const parity = (of: number) => of.toString(2).replaceAll('0', '').length & 1

describe('designs', () => {
  it('grid and one at a time', () => {
    const dimensions = { a: [1, 2, 3], b: [true, false] }
    assert.equal(combinationsOf(dimensions, 'grid').length, 6)
    assert.deepEqual(combinationsOf(dimensions, 'one-at-a-time'), [
      { a: 1, b: true },
      { a: 2, b: true },
      { a: 3, b: true },
      { a: 1, b: false },
    ])
    assert.deepEqual(combinationsOf({}, 'grid'), [{}])
  })

  it('fractions have as few runs as the tables of Box and Hunter say', () => {
    const runs: Record<number, Record<number, number>> = {
      3: { 2: 4, 3: 4, 4: 8, 5: 8, 6: 8, 7: 8, 8: 16, 11: 16, 12: 16 },
      4: { 3: 8, 4: 8, 5: 16, 6: 16, 7: 16, 8: 16, 9: 32, 12: 32 },
      5: { 4: 16, 5: 16, 6: 32, 7: 64, 8: 64 },
    }
    for (const [resolution, of] of Object.entries(runs))
      for (const [factors, expected] of Object.entries(of))
        assert.equal(smallest(Number(factors), Number(resolution)).runs, expected, `${factors} at ${resolution}`)
  })

  for (const resolution of [3, 4, 5] as const)
    it(`fractions of resolution ${resolution}: every product of fewer factors is balanced, and all first levels are in them`, () => {
      for (const factors of [2, 3, 4, 5, 6, 7, 8, 9]) {
        const design = combinationsOf(two(factors), { fractional: resolution })
        assert.ok(Object.values(design[0]).every((level) => level === 'off'))
        assert.equal(new Set(design.map((levels) => JSON.stringify(levels))).size, design.length)
        const rows = design.map((levels) =>
          Object.values(levels).reduce((sum: number, level, i) => sum + (level === 'on' ? 1 << i : 0), 0),
        )
        for (let set = 1; set < 1 << factors; set++) {
          const letters = set.toString(2).replaceAll('0', '').length
          if (letters >= resolution) continue
          const odd = rows.filter((row) => parity(row & set)).length
          assert.equal(2 * odd, rows.length, `${factors} factors, set ${set}`)
        }
      }
    })

  const rowsOf = (design: readonly Readonly<Record<string, Level>>[], y: (on: (name: string) => number) => number) =>
    Array.from({ length: 8 }, (_, text) =>
      design.map((levels, i): Row => {
        const prompt = { name: `text ${text}`, cluster: `text ${text}`, seed: 1, tokens: 1, sha256: 'x' }
        const value = text + y((name) => Number(levels[name] === 'on'))
        return { levels, trial: { key: `${text}-${i}`, policy: 'x', prompt, values: { y: value }, unchanged: false } }
      }),
    ).flat()
  const metric = { name: 'y', about: 'made up', unit: '', better: 'less' } as const

  it('effects of a fraction of resolution 5 are those of the grid', () => {
    const design = combinationsOf(two(6), { fractional: 5 })
    // Of ±1, so that interactions move no main effect.
    const sign = (on: number) => 2 * on - 1
    const y = (on: (name: string) => number) => 3 * on('f0') - 2 * on('f4') + 0.25 * sign(on('f1')) * sign(on('f5'))
    const { main, interactions } = effectsOf(rowsOf(design, y), two(6), metric, true, { seed: 1 }, design)
    const told = (name: string) => main.find(({ dimensions }) => dimensions[0] === name)!.found!.difference.mean
    assert.deepEqual(
      ['f0', 'f1', 'f4'].map((name) => Number(told(name).toFixed(9))),
      [3, 0, -2],
    )
    assert.equal(interactions.length, 15)
    for (const { dimensions, found, aliases } of interactions) {
      assert.deepEqual(aliases, [])
      assert.ok(Math.abs(found!.difference.mean - (dimensions.join() === 'f1,f5' ? 1 : 0)) < 1e-9)
    }
  })

  it('of resolution 4, interactions are told only in groups, and it is said which', () => {
    const design = combinationsOf(two(4), { fractional: 4 })
    assert.equal(design.length, 8)
    const asked = effectsAsked(two(4), true, design)
    assert.equal(asked.length, 4 + 3)
    assert.deepEqual(
      asked.filter(({ dimensions }) => dimensions.length === 2).map(({ aliases }) => aliases.length),
      [1, 1, 1],
    )
    const effects = effectsOf(
      rowsOf(design, (on) => on('f2')),
      two(4),
      metric,
      true,
      { seed: 1 },
      design,
    )
    assert.match(inspect(effects), /f0 × f1 .*\(or f2 × f3\)/)
  })

  it('of resolution 3, a main effect may be an interaction', () => {
    const design = combinationsOf(two(3), { fractional: 3 })
    assert.equal(design.length, 4)
    assert.deepEqual(
      effectsAsked(two(3), true, design).map(({ aliases }) => aliases.map((names) => names.join(' × '))),
      [['f1 × f2'], ['f0 × f2'], ['f0 × f1']],
    )
  })

  it('refuse what they cannot be', () => {
    assert.throws(() => designOf('all'), /'grid', 'one-at-a-time', \{ fractional/)
    assert.throws(() => designOf({ fractional: 6 }), /a resolution: 3, 4 or 5/)
    assert.throws(() => designOf({ fraction: 5 }), /no option "fraction"/)
    assert.throws(() => combinationsOf({ a: [1, 2], b: [1, 2, 3] }, { fractional: 4 }), /b has 3/)
    assert.throws(() => combinationsOf(two(13), { fractional: 4 }), /2 to 12 dimensions/)
    assert.throws(() => combinationsOf(two(1), { fractional: 4 }), /take the grid/)
    assert.throws(() => combinationsOf(two(60), 'grid'), /settings, and a study has 100000 at most/)
    assert.throws(
      () => designOf({ halving: { first: 1, of: 'all' } }),
      /ternary: \{ steps: 5 \} \} for design\.halving\.of/,
    )
  })
})
