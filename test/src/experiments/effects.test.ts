/** Effects and interactions of a balanced design beside those of statsmodels' least squares (scripts/make-statistics-golden.py). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { effectsAsked, effectsOf } from '../../../src/experiments/effects.js'
import type { Row } from '../../../src/experiments/rows.js'
import { holm } from '../../../src/statistics/holm.js'

interface Golden {
  rows: [number, number, number, number, number][]
  effects: { of: string[]; to: number[]; effect: number; low?: number; high?: number; p?: number }[]
}
const { study } = JSON.parse(readFileSync(new URL('../../golden/statistics.json', import.meta.url), 'utf8')) as {
  study: Golden
}

const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) <= 1e-9, `${found}, expected ${expected}`)

const metric = { name: 'y', about: 'what was drawn', unit: '', better: 'less' } as const
const dimensions = { a: [0, 1, 2], b: [0, 1], c: [0, 1] }
const rows = study.rows.map(([a, b, c, text, y], i): Row => {
  const prompt = { name: `text ${text}`, cluster: `text ${text}`, seed: 1, tokens: 1, sha256: 'x' }
  return { levels: { a, b, c }, trial: { key: String(i), policy: 'x', prompt, values: { y }, unchanged: false } }
})

describe('effects', () => {
  it('of each dimension and each two are those of least squares, with Student’s intervals over texts', () => {
    const { main, interactions } = effectsOf(rows, dimensions, metric, true, { seed: 1 })
    const all = [...main, ...interactions]
    assert.equal(all.length, effectsAsked(dimensions, true).length)
    assert.equal(all.length, study.effects.length)
    const adjusted = holm(all.map(({ found }) => found!.test.p))
    for (const [i, { of, to, effect, low, high, p }] of study.effects.entries()) {
      const { dimensions: own, to: ours, found, holm: corrected } = all[i]
      assert.deepEqual([own, ours], [of, to])
      near(found!.difference.mean, effect)
      assert.equal(corrected, adjusted[i])
      if (low === undefined) continue
      near(found!.difference.low!, low)
      near(found!.difference.high!, high!)
      near(found!.test.p, p!)
    }
  })

  it('do not depend on the order of trials, and leave out places where one side has none', () => {
    const reversed = effectsOf(rows.toReversed(), dimensions, metric, true, { seed: 1 })
    const whole = effectsOf(rows, dimensions, metric, true, { seed: 1 })
    whole.main.forEach(({ found }, i) => near(reversed.main[i].found!.difference.mean, found!.difference.mean))
    const lacking = rows.map((row, i) =>
      i === 4 ? { ...row, trial: { ...row.trial, values: null, failed: 'x' } } : row,
    )
    const { main } = effectsOf(lacking, dimensions, metric, false, { seed: 1 })
    assert.deepEqual(
      main.map(({ found }) => [found!.pairs, found!.left]),
      [
        [35, 1],
        [35, 1],
        [53, 1],
        [53, 1],
      ],
    )
  })
})
