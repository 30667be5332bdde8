/** Figures of studies: who is on the frontier, where its knee is, and what effects are said to be. */
import assert from 'node:assert/strict'
import { effects, frontier } from '../../src/figures/index.js'
import { effectsMade, studiedMade } from './synthetic-study.js'

const interval = (mean: number) => ({ mean, low: null, high: null })
const study = (points: [bytes: number, kl: number][], better: 'less' | 'more' = 'less') => ({
  metrics: [{ name: 'kl', about: 'KL', unit: 'nats', better }],
  facts: { task: { name: 'reading', about: 'a text' } },
  summary: () => ({
    by: ['budget'],
    rows: points.map(([bytes, kl], budget) => ({
      levels: { budget },
      trials: 1,
      clusters: 1,
      values: { kl: interval(kl), bytes: interval(bytes * 1024 * 1024) },
    })),
    table: () => ({ budget: points.map((_, i) => i) }),
  }),
})
const line = (figure: ReturnType<typeof frontier>) => {
  const mark = figure.plot.panels[0].marks.find((one) => 'name' in one && one.name === 'frontier')
  return mark?.kind === 'line' ? mark.x.map((x, i) => [Number(x.toPrecision(6)), mark.y[i]]) : []
}

describe('figures of studies', () => {
  it('frontier: those that none beats at both, of equals the first, whichever is better', () => {
    const points: [number, number][] = [
      [8, 0.1],
      [1, 0.9],
      [2, 0.95],
      [2, 0.3],
      [4, 0.3],
      [4, 0.2],
      [3, 0.9],
    ]
    const expected = [
      [1, 0.9],
      [2, 0.3],
      [4, 0.2],
      [8, 0.1],
    ]
    const less = frontier(study(points))
    assert.deepEqual(line(less), expected)
    assert.match(less.summary, /^Knee at 2 MiB: kl 0\.3\. budget 3\. /)
    const more = frontier(
      study(
        points.map(([bytes, kl]) => [bytes, 1 - kl]),
        'more',
      ),
    )
    assert.deepEqual(
      line(more).map(([x]) => x),
      expected.map(([x]) => x),
    )
    assert.match(more.summary, /^Knee at 2 MiB/)
  })

  it('frontier: no knee where more bytes bring the more, nor of two', () => {
    const bent: [number, number][] = [
      [1, 0.9],
      [2, 0.85],
      [4, 0.7],
      [8, 0.1],
    ]
    assert.match(frontier(study(bent)).summary, /^4 of 4 settings are beaten by none/)
    assert.match(frontier(study(bent.slice(2))).summary, /^2 of 2 settings/)
  })

  it('effects: how many stand out, and that few clusters can show none', () => {
    assert.match(effects(effectsMade()).summary, /of 13 effects on kl can be told from nothing\. Largest: /)
    assert.match(effects(effectsMade({ texts: 5 })).summary, /^None of 13 effects/)
    assert.match(effects(effectsMade({ dimensions: { budget: [0.1] } })).summary, /^No effect on kl could be measured/)
  })

  it('refuse what is no study, and what it does not have', () => {
    assert.throws(() => frontier(Promise.resolve() as never), /await study\.run\(\)/)
    assert.throws(() => frontier(studiedMade(), { metric: 'loss' }), /'kl'/)
    assert.throws(() => frontier(studiedMade(), { by: 'policy' }), /'budget', 'alpha', 'recent'/)
    assert.throws(() => frontier(study([])), /of which something has been measured/)
    assert.throws(() => effects({} as never), /study\.effects\(\)/)
  })
})
