/** Figures of studies: who is on the frontier, where its knee is, and what effects are said to be. */
import assert from 'node:assert/strict'
import { drawSvg } from '../../src/figures/export/svg.js'
import { effects, failures, frontier, interaction, needleMap, pairedDifferences } from '../../src/figures/index.js'
import type { Mark } from '../../src/figures/plot.js'
import { MadeStudy, needlesOf, studyOf } from './made-study.js'
import { effectsMade, MANY_LEVELS, studiedMade } from './synthetic-study.js'

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
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

  it('effects: names are whole, on as many lines as their room asks for', () => {
    const found = effectsMade({ dimensions: MANY_LEVELS })
    const named = [...found.main, ...found.interactions].flatMap(({ dimensions, to }) =>
      dimensions.map((name, i) => `${name} ${dimensions.length > 1 ? '' : '.*'}${String(to[i])}`),
    )
    for (const width of ['3.25in', '5.5in', '6.75in'] as const) {
      const figure = effects(found, { width })
      const { texts } = drawSvg(figure.plot, figure.style)
      const said = texts.map(({ text }) => text).join(' ')
      for (const name of named) assert.match(said, new RegExp(name), width)
      assert.ok(!said.includes('…'), width)
    }
  })

  it('paired differences: each cluster at the mean of its pairs, sorted, and what is left out is counted', () => {
    const study = studyOf({ texts: 12, together: 2, failed: 0.05, unchanged: 0.05 })
    const [a, b] = [{ alpha: 1 }, { alpha: 0 }]
    const figure = pairedDifferences(study, a, b)
    const found = study.compare(a, b)!
    const { prompt, cluster, difference } = figure.columns as {
      prompt: string[]
      cluster: string[]
      difference: number[]
    }
    const kl = (levels: object, name: string, at: object) =>
      study.rows.find(
        (row) =>
          row.trial.prompt.name === name &&
          Object.entries({ ...at, ...levels }).every(([key, level]) => row.levels[key] === level),
      )!.trial.values!.kl
    const { budget, recent } = figure.columns as { budget: number[]; recent: number[] }
    prompt.forEach((name, i) => {
      const at = { budget: budget[i], recent: recent[i] }
      assert.equal(difference[i], kl(a, name, at) - kl(b, name, at))
    })
    assert.equal(prompt.length, found.pairs)
    const means = [...new Set(cluster)]
      .map((one) => meanOf(difference.filter((_, i) => cluster[i] === one)))
      .sort((one, other) => one - other)
    const drawn = figure.plot.panels[0].marks
      .filter((mark) => mark.kind === 'points' && mark.name !== 'each pair')
      .flatMap((mark) => (mark.kind === 'points' ? mark.y.map((y, i) => [y, mark.x[i]]) : []))
      .sort(([one], [other]) => one - other)
    assert.deepEqual(
      drawn.map(([y]) => y),
      means.map((_, i) => i),
    )
    drawn.forEach(([, x], i) => assert.ok(Math.abs(x - means[i]) < 1e-12))
    assert.ok(found.left > 0)
    const left = study.differences(a, b).left
    assert.equal(left.failed + left.unchanged, found.left)
    assert.match(
      figure.summary,
      new RegExp(
        `${found.left} places are left out: in ${left.failed} a trial failed, in ${left.unchanged} one changed nothing`,
      ),
    )
    assert.throws(() => pairedDifferences(study, a, a), /a and b are the same: give levels that differ/)
    assert.throws(() => pairedDifferences(study, a, { alpha: 7 }), /one of 0, 0.5, 1/)
    assert.throws(() => pairedDifferences({} as never, a, b), /a study that has run/)
    const none = studyOf({ texts: 3, failed: 0.5, unchanged: 0.5, dimensions: { alpha: [0, 1] } })
    assert.throws(() => pairedDifferences(none, a, b), /in each of them one failed or changed nothing/)
  })

  it('interaction: means of the summary, and the contrast of effects()', () => {
    const study = studyOf({ texts: 10 })
    const figure = interaction(study, ['recent', 'alpha'])
    const summary = study.summary(['recent', 'alpha'])
    assert.deepEqual(
      figure.columns.kl,
      summary.rows.map(({ values }) => values.kl!.mean),
    )
    const lines = figure.plot.panels[0].marks.flatMap((mark) => (mark.kind === 'points' ? [mark.y] : []))
    assert.deepEqual(lines.flat().sort(), [...(figure.columns.kl as number[])].sort())
    assert.equal(lines.length, 3)
    const effect = study
      .effects()
      .interactions.find(({ dimensions, to }) => dimensions.join() === 'alpha,recent' && to[0] === 1)!
    const { mean } = effect.found!.difference
    assert.match(
      figure.summary,
      new RegExp(
        `What recent 0.5 → 0.25 does to kl .* changes by ${mean < 0 ? '−' : '\\+'}${Number(Math.abs(mean).toPrecision(3))}.* from alpha 0 to 1`,
      ),
    )
    for (const wrong of [['alpha'], ['alpha', 'alpha'], ['alpha', 'policy'], 'alpha'])
      assert.throws(() => interaction(study, wrong as never), /two of 'budget', 'alpha', 'recent'/)
    const many = studyOf({ texts: 2, dimensions: { alpha: [0, 1, 2, 3, 4, 5], recent: [1, 2] } })
    assert.throws(() => interaction(many, ['recent', 'alpha']), /turn them round: \['alpha', 'recent'\]/)
  })

  it('needle map: cells are means of their trials; what the full cache cannot do is in no mean', () => {
    const study = needlesOf({ beyond: 2048 })
    const figure = needleMap(study, { at: { budget: 0.1 } })
    const { map, length, depth, score, trials, beyond } = figure.columns as Record<string, (number | string)[]>
    assert.deepEqual([...new Set(map)], ['full cache', 'zsmerge', 'snapkv'])
    map.forEach((name, i) => {
      const own = study.rows.filter(
        ({ levels, trial }) =>
          levels.budget === 0.1 &&
          trial.prompt.name === `${length[i]} tokens, depth ${depth[i]}` &&
          levels.policy === (name === 'full cache' ? 'zsmerge' : name),
      )
      assert.equal(trials[i], own.length)
      assert.equal(score[i], meanOf(own.map(({ trial }) => trial.values![name === 'full cache' ? 'full' : 'score'])))
      assert.equal(beyond[i], Number(Number(length[i]) >= 2048))
    })
    const counted = (name: string) => meanOf(score.filter((_, i) => map[i] === name && !beyond[i]) as number[])
    assert.match(
      figure.summary,
      new RegExp(`snapkv ${Number(counted('snapkv').toPrecision(3))}.* 10 crossed cells are left out`),
    )
    const drawn = figure.plot.panels[1].marks.find((mark: Mark) => mark.kind === 'labels')
    assert.equal(drawn?.kind === 'labels' && drawn.text.length, 10)
    const idle = needleMap(needlesOf({ unchanged: 512 }), { by: 'policy' }).columns as Record<
      string,
      (number | string)[]
    >
    idle.trials.forEach((count, i) =>
      assert.equal(count, idle.map[i] === 'full cache' ? 5 : idle.length[i] === 512 ? 0 : 10),
    )
    assert.throws(() => needleMap(studyOf()), /called “1024 tokens, depth 0.5”.* "text 0"/)
    assert.throws(() => needleMap(study, { by: 'alpha' }), /'policy', 'budget'/)
    assert.throws(() => needleMap(study, { at: { budget: 0.3 } }), /at\.budget/)
  })

  it('failures: outcomes of every setting, the reasons, and prompts beyond the model', () => {
    const study = studyOf({ texts: 9, failed: 0.2, unchanged: 0.1 })
    const { setting, outcome, trials } = failures(study).columns as Record<string, (number | string)[]>
    const summary = study.summary()
    assert.equal(setting.filter((_, i) => outcome[i] === 'counts').length, summary.rows.length)
    for (const [name, of] of [
      ['counts', 'trials'],
      ['changed nothing', 'unchanged'],
      ['failed', 'failed'],
    ] as const)
      assert.deepEqual(
        trials.filter((_, i) => outcome[i] === name),
        summary.rows.map((row) => row[of]),
      )
    const reasons = trials.filter((_, i) => String(outcome[i]).startsWith('failed: ')) as number[]
    assert.equal(
      reasons.reduce((sum, count) => sum + count, 0),
      study.rows.filter(({ trial }) => trial.failed).length,
    )
    assert.match(failures(needlesOf()).summary, /The full cache itself cannot do 25 of 100 prompts/)
    assert.match(failures(needlesOf({ beyond: 0 })).summary, /this model cannot do the task/)
    assert.throws(() => failures(new MadeStudy([], { dimensions: {} }).summary() as never), /a study that has run/)
  })

  it('refuse what is no study, and what it does not have', () => {
    assert.throws(() => frontier(Promise.resolve() as never), /await study\.run\(\)/)
    assert.throws(() => frontier(studiedMade(), { metric: 'loss' }), /'kl'/)
    assert.throws(() => frontier(studiedMade(), { by: 'policy' }), /'budget', 'alpha', 'recent'/)
    assert.throws(() => frontier(study([])), /of which something has been measured/)
    assert.throws(() => effects({} as never), /study\.effects\(\)/)
  })
})
