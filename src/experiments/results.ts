/** What came out of a study, or of a half of it: its rows, means, effects and comparisons. */
import { ZslabError } from '../errors.js'
import { flag, invalid, oneOf, options as checked } from '../expect.js'
import { cameOf } from '../recipe/recipe.js'
import { resultsText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { meanOf } from '../statistics/moments.js'
import type { IntervalOptions } from '../statistics/intervals.js'
import type { EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { differencesOf, type Differences } from './differences.js'
import { effectsAsked, effectsOf, type Effects } from './effects.js'
import { contrast, levelCell, termsOf, type Contrast, type Row } from './rows.js'
import { halvingIn, type Dimensions, type Halving, type Level, type Levels } from './designs.js'
import { slopesAsked, slopesOf } from './slopes.js'
import { columnOf, countColumn, levelColumn, numberColumn, StudyTable, wordColumn } from './study-table.js'
import { summaryOf, type Summary } from './summary.js'
import type { Measuring, Metric } from './measures/measuring.js'
import { dimensionsTried, type Tried } from './tried.js'
import { valueOf } from './trial.js'

export interface MetricOptions extends IntervalOptions {
  /** Default: the task's first. */
  metric?: string
}

const INTERVAL = ['method', 'level', 'seed', 'resamples']
/** The same intervals every time, unless another seed is asked for. */
const seeded = (options: IntervalOptions): IntervalOptions => ({ seed: 1, ...options })

export abstract class Results extends StudyTable {
  /** What is done, a row for each setting and prompt. */
  abstract get rows(): readonly Row[]
  /** Levels by dimension; policies among them where there are several. */
  get dimensions(): Dimensions {
    return dimensionsTried(this.tried)
  }
  /** Those that rows have; the first is what the study is about unless another is asked for. */
  abstract get metrics(): readonly Metric[]
  abstract get facts(): { readonly task: { name: string; about: string } }
  /** Of the engines that trials were done with. */
  abstract get cards(): readonly EngineCard[]
  /** What the full cache has to reach, where the task says so. @internal */
  abstract get able(): Measuring['able']
  /** @internal */
  abstract get tried(): Tried

  /** The settings of a fractional design; undefined of another one. @internal */
  get fraction(): readonly Levels[] | undefined {
    const { design, settings } = this.tried
    return typeof design === 'object' && 'fractional' in design ? settings : undefined
  }

  /** How many effects there are to tell. @internal */
  get comparisons(): number {
    // The setting that is left, beside the first.
    if (this.halving) return 1
    return this.spread ? this.slopes.columns.length : effectsAsked(this.dimensions, true, this.fraction).length
  }

  /** Why some of those that would be wanted are not told; null: all are. @internal */
  get without(): string | null {
    return this.spread && !this.halving ? this.slopes.without : null
  }

  private get slopes() {
    return slopesAsked(this.tried.varied, this.tried.settings.length, true)
  }

  private refuseHalved(): void {
    if (this.halving)
      throw new ZslabError(
        'invalid',
        'halving drops settings by what it measures of them, so what is left does not tell effects: study.rounds says what was dropped, study.confirm() what may be said; for effects take the grid',
      )
  }

  /** Undefined: the design drops nothing. @internal */
  get halving(): Halving | undefined {
    return halvingIn(this.tried.design)
  }

  /** Over ranges. */
  private get spread(): boolean {
    return Object.values(this.tried.varied).some(({ range }) => range)
  }

  /** Why nothing here tells policies apart: the full cache itself cannot do the task. Null: it can, or nothing is known of it. */
  get cannot(): string | null {
    const { able, rows } = this
    const found = rows.flatMap(({ trial }) => (able && trial.values ? [trial.values[able.metric]] : []))
    const mean = meanOf(found)
    return able && mean < able.least
      ? `the full cache itself reaches ${Number(mean.toPrecision(2))} (${able.metric}), less than ${able.least}: this model cannot do the task, so nothing here says what policies do`
      : null
  }

  /** A row for each setting and prompt that is done; metrics of those that failed are null. */
  table(): Record<string, TraceCell[]> {
    const { rows } = this
    const column = (value: (row: Row) => TraceCell) => rows.map(value)
    const names = Object.keys(this.dimensions)
    return {
      ...Object.fromEntries(names.map((name) => [columnOf(name), column(({ levels }) => levelCell(levels[name]))])),
      call: column(({ trial }) => trial.policy),
      prompt: column(({ trial }) => trial.prompt.name),
      cluster: column(({ trial }) => trial.prompt.cluster),
      seed: column(({ trial }) => trial.prompt.seed),
      tokens: column(({ trial }) => trial.prompt.tokens),
      ...Object.fromEntries(
        this.metrics.map(({ name }) => [name, column(({ trial }) => (trial.values ? valueOf(trial, name) : null))]),
      ),
      unchanged: column(({ trial }) => Number(trial.unchanged)),
      failed: column(({ trial }) => trial.failed ?? null),
    }
  }

  protected override saved() {
    const { dimensions, metrics, cards } = this
    const columns = [
      ...Object.entries(dimensions).map(([name, levels]) => levelColumn(name, levels)),
      wordColumn('call', 'that makes the policy'),
      wordColumn('prompt', 'its name'),
      wordColumn('cluster', 'that the prompt belongs to: prompts of one are one observation'),
      { name: 'seed', type: 'float64' as const, about: 'that drew the prompt, and what a policy draws' },
      countColumn('tokens', 'of the prompt'),
      ...metrics.map(({ name, about, unit }) => numberColumn(name, `${about}, ${unit}; null of trials that failed`)),
      countColumn('unchanged', '1: the policy was to change the cache and did not'),
      wordColumn('failed', 'why it failed; null: it did not', true),
    ]
    return { what: 'the study', columns, cards }
  }

  /** Means by the levels of some dimensions, default all. Errors: 'invalid' for a dimension that the study does not have. */
  summary(by: readonly string[] = Object.keys(this.dimensions), options: IntervalOptions = {}): Summary {
    checked('summary', options, INTERVAL)
    const known = Object.keys(this.dimensions)
    if (!Array.isArray(by)) throw invalid('by', "an array of dimensions, such as ['alpha']", by)
    const found = summaryOf(
      this.rows,
      by.map((name) => oneOf('by', name, known)),
      this.metrics,
      seeded(options),
      this.cannot,
      this.cards,
    )
    return cameOf(found, this, 'summary', [by, options])
  }

  /**
   * What each dimension does, and each two of them (`interactions`, default true), each level against its dimension's first. Of ranges: from one end to the other, as
   * the plane of least squares through each prompt's settings has it; how much of their differences it explains is `fit.explained`.
   */
  effects(options: MetricOptions & { interactions?: boolean } = {}): Effects {
    checked('effects', options, ['metric', 'interactions', ...INTERVAL])
    this.refuseHalved()
    const { metric, interactions, ...interval } = options
    const wanted = interactions === undefined ? true : flag('interactions', interactions)
    const { rows, tried, fraction, cards } = this
    const one = this.metricOf(metric)
    const found = this.spread
      ? slopesOf(rows, tried, one, wanted, seeded(interval), cards)
      : effectsOf(rows, this.dimensions, one, wanted, seeded(interval), fraction, cards)
    return cameOf(found, this, 'effects', [options])
  }

  /** a − b, both some levels of the same dimensions: { alpha: 0 }, { alpha: 1 }. Null where no place has both. */
  compare(
    a: Readonly<Record<string, Level>>,
    b: Readonly<Record<string, Level>>,
    options: MetricOptions = {},
  ): Contrast | null {
    checked('compare', options, ['metric', ...INTERVAL])
    const { metric, ...interval } = options
    const terms = termsOf(a, b, this.dimensions, this.spread)
    return contrast(this.rows, terms, this.metricOf(metric).name, seeded(interval), this.fraction !== undefined)
  }

  /** As compare(), with each place's own difference. Errors: 'invalid' also where no place has both. */
  differences(
    a: Readonly<Record<string, Level>>,
    b: Readonly<Record<string, Level>>,
    options: MetricOptions = {},
  ): Differences {
    const found = this.compare(a, b, options)
    const terms = termsOf(a, b, this.dimensions, this.spread)
    const { rows, fraction, cards } = this
    const each = differencesOf(rows, terms, this.metricOf(options.metric), found, fraction !== undefined, cards)
    return cameOf(each, this, 'differences', [a, b, options])
  }

  protected metricOf(name: string | undefined): Metric {
    const { metrics } = this
    if (name === undefined) return metrics[0]
    const known = metrics.map((one) => one.name)
    return metrics[known.indexOf(oneOf('metric', name, known))]
  }
}

/** Part of a study's rows. */
export class Part extends Results {
  /** @internal */
  constructor(
    readonly name: string,
    readonly rows: readonly Row[],
    private readonly whole: Results,
  ) {
    super()
    cameOf(this, whole, name)
  }

  get metrics(): readonly Metric[] {
    return this.whole.metrics
  }

  get facts(): Results['facts'] {
    return this.whole.facts
  }

  get cards(): readonly EngineCard[] {
    return this.whole.cards
  }

  /** @internal */
  get able(): Measuring['able'] {
    return this.whole.able
  }

  /** @internal */
  get tried(): Tried {
    return this.whole.tried
  }

  toJSON(): Record<string, unknown> {
    const { name, dimensions, metrics, rows } = this
    return { format: 'zslab.studyPart', version: 1, name, dimensions, metrics, rows }
  }
}

showsItself(Part.prototype, resultsText)
