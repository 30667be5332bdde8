/** What came out of a study, or of a half of it: its rows, means, effects and comparisons. */
import { ZslabError } from '../errors.js'
import { flag, invalid, oneOf, options as checked } from '../expect.js'
import { Tabular } from '../inspect/tabular.js'
import { resultsText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { meanOf } from '../statistics/moments.js'
import type { IntervalOptions } from '../statistics/intervals.js'
import type { TraceCell } from '../trace/columns.js'
import { effectsOf, type Effects } from './effects.js'
import { contrast, levelCell, levelsOf, type Contrast, type Row } from './rows.js'
import type { Dimensions, Level, Levels } from './designs.js'
import { summaryOf, type Summary } from './summary.js'
import type { Metric, Task } from './task.js'

export interface MetricOptions extends IntervalOptions {
  /** Default: the task's first. */
  metric?: string
}

const INTERVAL = ['method', 'level', 'seed', 'resamples']
/** The same intervals every time, unless another seed is asked for. */
const seeded = (options: IntervalOptions): IntervalOptions => ({ seed: 1, ...options })

export abstract class Results extends Tabular {
  /** What is done, a row for each setting and prompt. */
  abstract get rows(): readonly Row[]
  /** Levels by dimension; policies among them where there are several. */
  abstract get dimensions(): Dimensions
  /** Those that rows have; the first is what the study is about unless another is asked for. */
  abstract get metrics(): readonly Metric[]
  /** What the full cache has to reach, where the task says so. @internal */
  abstract get able(): Task['able']
  /** The settings of a fractional design; undefined of another one. @internal */
  abstract get fraction(): readonly Levels[] | undefined

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
      ...Object.fromEntries(names.map((name) => [name, column(({ levels }) => levelCell(levels[name]))])),
      call: column(({ trial }) => trial.policy),
      prompt: column(({ trial }) => trial.prompt.name),
      cluster: column(({ trial }) => trial.prompt.cluster),
      seed: column(({ trial }) => trial.prompt.seed),
      tokens: column(({ trial }) => trial.prompt.tokens),
      ...Object.fromEntries(
        this.metrics.map(({ name }) => [name, column(({ trial }) => trial.values?.[name] ?? null)]),
      ),
      unchanged: column(({ trial }) => Number(trial.unchanged)),
      failed: column(({ trial }) => trial.failed ?? null),
    }
  }

  /** Means by the levels of some dimensions, default all. Errors: 'invalid' for a dimension that the study does not have. */
  summary(by: readonly string[] = Object.keys(this.dimensions), options: IntervalOptions = {}): Summary {
    const known = Object.keys(this.dimensions)
    if (!Array.isArray(by)) throw invalid('by', "an array of dimensions, such as ['alpha']", by)
    return summaryOf(
      this.rows,
      by.map((name) => oneOf('by', name, known)),
      this.metrics,
      seeded(options),
      this.cannot,
    )
  }

  /** What each dimension does, and each two of them (`interactions`, default true), each level against its dimension's first. */
  effects(options: MetricOptions & { interactions?: boolean } = {}): Effects {
    checked('effects', options, ['metric', 'interactions', ...INTERVAL])
    const { metric, interactions, ...interval } = options
    const wanted = interactions === undefined ? true : flag('interactions', interactions)
    return effectsOf(this.rows, this.dimensions, this.metricOf(metric), wanted, seeded(interval), this.fraction)
  }

  /** a − b, both some levels of the same dimensions: { alpha: 0 }, { alpha: 1 }. Null where no place has both. */
  compare(
    a: Readonly<Record<string, Level>>,
    b: Readonly<Record<string, Level>>,
    options: MetricOptions = {},
  ): Contrast | null {
    checked('compare', options, ['metric', ...INTERVAL])
    const { metric, ...interval } = options
    const { dimensions } = this
    const [one, other] = [levelsOf('a', a, dimensions), levelsOf('b', b, dimensions)]
    const names = (levels: object) => Object.keys(levels).sort().join(', ')
    if (names(one) !== names(other) || !names(one))
      throw new ZslabError(
        'invalid',
        `a names ${names(one) || 'nothing'} and b ${names(other) || 'nothing'}: give both a level of the same dimensions`,
      )
    const terms = [
      { levels: one, sign: 1 },
      { levels: other, sign: -1 },
    ] as const
    return contrast(this.rows, terms, this.metricOf(metric).name, seeded(interval), this.fraction !== undefined)
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
    readonly dimensions: Dimensions,
    readonly metrics: readonly Metric[],
    readonly facts: { task: { name: string; about: string } },
    /** @internal */
    readonly able: Task['able'],
    /** @internal */
    readonly fraction: readonly Levels[] | undefined,
  ) {
    super()
  }

  toJSON(): Record<string, unknown> {
    const { name, dimensions, metrics, rows } = this
    return { format: 'zslab.studyPart', version: 1, name, dimensions, metrics, rows }
  }
}

showsItself(Part.prototype, resultsText)
