/** A study: settings of policies on a task's prompts, what is done of it and what came out. */
import { join } from 'node:path'
import { ZslabError } from '../errors.js'
import { callOptions, flag, oneOf, options as checked } from '../expect.js'
import { Tabular } from '../inspect/tabular.js'
import type { LoadedModel } from '../loaded-model.js'
import { withBar } from '../long-work.js'
import type { CallOptions } from '../native/call.js'
import { planText, studyText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { leastHolmP } from '../statistics/holm.js'
import type { IntervalOptions } from '../statistics/intervals.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import type { TraceCell } from '../trace/columns.js'
import { replaceFile } from '../trace/files/replace.js'
import { carryOut, workOf, type Planned } from './carry-out.js'
import { asCoordinator } from './coordinator.js'
import { comparisonsOf, effectsOf, type Effects } from './effects.js'
import { contrast, levelCell, levelsOf, type Contrast, type Row } from './rows.js'
import type { Design, Level, Setting } from './settings.js'
import { TrialStore } from './store.js'
import { summaryOf, type Summary } from './summary.js'
import type { Metric, Task } from './task.js'
import { aboutStudy, idsHash, trialKey } from './trial.js'

/** What sweep() was asked for, checked. */
export interface StudyFacts {
  task: { name: string; about: string; options: Readonly<Record<string, unknown>> }
  policies: readonly string[]
  base: Readonly<Record<string, unknown>>
  over: Readonly<Record<string, readonly Level[]>>
  design: Design
  seeds: readonly number[]
}

export interface StudyParts {
  model: LoadedModel
  task: Task
  settings: readonly Setting[]
  /** The policies among them where there are several. */
  dimensions: Readonly<Record<string, readonly Level[]>>
  folder: string | undefined
  facts: StudyFacts
}

export interface MetricOptions extends IntervalOptions {
  /** Default: the task's first. */
  metric?: string
}

export interface Plan {
  settings: number
  prompts: number
  clusters: number
  /** All that the design has, and those of them that are done. Settings that come to the same policy share their trials. */
  trials: number
  done: number
  /** Of what is missing: tokens read as prompts, and tokens that go through the model one by one, the full cache's included. */
  tokens: { read: number; steps: number }
  /** What is to be known first. */
  notes: string[]
}

/** Beside a task's own. */
const BYTES: Metric = {
  name: 'bytes',
  about: 'keys, values and what belongs to them, at the end',
  unit: 'bytes',
  better: 'less',
}

export class Study extends Tabular {
  private planned: { card: EngineCard; prompts: readonly Planned[] } | undefined
  private store: TrialStore | undefined

  /** @internal */
  constructor(private readonly parts: StudyParts) {
    super()
  }

  get facts(): StudyFacts {
    return this.parts.facts
  }

  /** Those that rows have; the first is what the study is about unless another is asked for. */
  get metrics(): readonly Metric[] {
    return [...this.parts.task.metrics, BYTES]
  }

  /** What there is to do, before anything is done: reads the store, and no text. Errors: as of run(). */
  async plan(options: CallOptions = {}): Promise<Plan> {
    callOptions('plan', options)
    return withBar('planning', options, async ({ signal }) => {
      const { prompts } = await this.prepared(signal)
      const store = await this.opened()
      const { settings } = this.parts
      const trials = prompts.flatMap((one) => one.trials)
      const done = trials.filter(({ key }) => store.get(key)).length
      const tokens = workOf(this.work, prompts)
      const clusters = new Set(prompts.map(({ prompt }) => prompt.cluster)).size
      const names = new Set(prompts.map(({ prompt }) => prompt.name)).size
      const notes = this.notes(clusters)
      return showsItself(
        { settings: settings.length, prompts: names, clusters, trials: trials.length, done, tokens, notes },
        planText,
      )
    })
  }

  private notes(clusters: number): string[] {
    const { dimensions } = this.parts
    const notes: string[] = []
    const comparisons = comparisonsOf(dimensions, true)
    const least = leastHolmP(clusters, comparisons)
    if (comparisons && least > 0.05)
      notes.push(
        `${clusters} clusters cannot show any of ${comparisons} effects and interactions: the least p after Holm is ${least.toPrecision(2)}; take more clusters, or fewer dimensions`,
      )
    for (const { path, why } of this.store!.faults)
      notes.push(`${path} is broken (${why}): what is missing is done again`)
    return notes
  }

  /**
   * Does what is missing, each prompt read once for all its policies; a trial that is done is kept, so it may be interrupted, and run again. Errors: 'file'
   * for a store that cannot be written, 'invalid' while another process runs it.
   */
  async run(options: CallOptions = {}): Promise<this> {
    callOptions('run', options)
    await withBar('studying,', options, async (call) => {
      const { card, prompts } = await this.prepared(call.signal)
      await asCoordinator(this.parts.folder, async () => {
        const store = await this.opened()
        await store.tidy()
        await this.remember(card)
        await carryOut(this.work, prompts, call)
        await store.fold()
      })
    })
    return this
  }

  private get work() {
    return { model: this.parts.model, task: this.parts.task, store: this.store! }
  }

  /** As its folder is now: another process may have gone on. */
  private async opened(): Promise<TrialStore> {
    const { folder } = this.parts
    if (!this.store || folder !== undefined) this.store = await TrialStore.open(folder)
    return this.store
  }

  private async prepared(signal: AbortSignal | undefined) {
    const { model, task, settings, facts } = this.parts
    await model.file.sha256({ signal })
    if (this.planned) return this.planned
    const card = engineCard(model)
    const about = aboutStudy(task, card)
    const prompts = facts.seeds.flatMap((seed) =>
      task.prompts(model, seed).map((prompt): Planned => {
        const sha256 = idsHash(prompt)
        const policies = settings.map(({ policy }) => policy(seed))
        const trials = new Map(policies.map((policy) => [trialKey(about, sha256, policy), policy]))
        return { prompt, seed, sha256, trials: Array.from(trials, ([key, policy]) => ({ key, policy })) }
      }),
    )
    return (this.planned = { card, prompts })
  }

  private async remember(card: EngineCard): Promise<void> {
    const { folder, facts } = this.parts
    if (folder === undefined) return
    const text = JSON.stringify({ format: 'zslab.study', version: 1, ...facts, card }, undefined, 2)
    await replaceFile(join(folder, 'study.json'), 'the study', [text, '\n'])
  }

  /** What is done, a row for each setting and prompt. Errors: 'invalid' before run() or plan(). */
  get rows(): Row[] {
    const { planned, store } = this
    if (!planned || !store)
      throw new ZslabError(
        'invalid',
        'the study has not been run yet: await study.run(), or study.plan() to read what its store has',
      )
    const { settings } = this.parts
    const about = aboutStudy(this.parts.task, planned.card)
    return planned.prompts.flatMap(({ sha256, seed }) =>
      settings.flatMap(({ levels, policy }) => {
        const trial = store.get(trialKey(about, sha256, policy(seed)))
        return trial ? [{ levels, trial }] : []
      }),
    )
  }

  /** A row for each setting and prompt that is done; metrics of those that failed are null. */
  table(): Record<string, TraceCell[]> {
    const { rows } = this
    const column = (value: (row: Row) => TraceCell) => rows.map(value)
    const names = Object.keys(this.parts.dimensions)
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
  summary(by: readonly string[] = Object.keys(this.parts.dimensions), options: IntervalOptions = {}): Summary {
    const known = Object.keys(this.parts.dimensions)
    return summaryOf(
      this.rows,
      by.map((name) => oneOf('by', name, known)),
      this.metrics,
      seeded(options),
    )
  }

  /** What each dimension does, and each two of them (`interactions`, default true), each level against its dimension's first. */
  effects(options: MetricOptions & { interactions?: boolean } = {}): Effects {
    checked('effects', options, ['metric', 'interactions', ...INTERVAL])
    const { metric, interactions, ...interval } = options
    const wanted = interactions === undefined ? true : flag('interactions', interactions)
    return effectsOf(this.rows, this.parts.dimensions, this.metricOf(metric), wanted, seeded(interval))
  }

  /** a − b, both some levels of the same dimensions: { alpha: 0 }, { alpha: 1 }. Null where no place has both. */
  compare(
    a: Readonly<Record<string, Level>>,
    b: Readonly<Record<string, Level>>,
    options: MetricOptions = {},
  ): Contrast | null {
    checked('compare', options, ['metric', ...INTERVAL])
    const { metric, ...interval } = options
    const { dimensions } = this.parts
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
    return contrast(this.rows, terms, this.metricOf(metric).name, seeded(interval))
  }

  private metricOf(name: string | undefined): Metric {
    const { metrics } = this
    if (name === undefined) return metrics[0]
    const known = metrics.map((one) => one.name)
    return metrics[known.indexOf(oneOf('metric', name, known))]
  }

  toJSON(): Record<string, unknown> {
    const { facts, metrics, planned } = this
    return { format: 'zslab.study', version: 1, ...facts, card: planned?.card, metrics, rows: planned ? this.rows : [] }
  }

  /** @internal For its text. */
  get progress(): { trials: number; done: number } | undefined {
    const { planned, store } = this
    const trials = planned?.prompts.flatMap((one) => one.trials)
    return trials && { trials: trials.length, done: trials.filter(({ key }) => store!.get(key)).length }
  }
}

const INTERVAL = ['method', 'level', 'seed', 'resamples']
/** The same intervals every time, unless another seed is asked for. */
const seeded = (options: IntervalOptions): IntervalOptions => ({ seed: 1, ...options })

showsItself(Study.prototype, studyText)
