/** A study: settings of policies on a task's prompts, what is done of it and what came out. */
import { join } from 'node:path'
import { ZslabError } from '../errors.js'
import { callOptions, integer, invalid } from '../expect.js'
import type { LoadedModel } from '../loaded-model.js'
import { withBar } from '../long-work.js'
import type { Call, CallOptions } from '../native/call.js'
import { planText, studyText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import { leastHolmP } from '../statistics/holm.js'
import { engineCard, type EngineCard } from '../trace/card.js'
import { replaceFile } from '../trace/files/replace.js'
import { confirmed, exploredOf, type Confirmation } from './confirm.js'
import { asCoordinator } from './coordinator.js'
import type { Design } from './designs.js'
import type { Over } from './dimensions.js'
import { jobsOf, tokensOf, type Planned } from './jobs.js'
import { measuring } from './measures/index.js'
import type { Measuring, Metric } from './measures/measuring.js'
import { kvpressRecords, type KvpressRecord } from './kvpress.js'
import { liveOf, type Watch } from './live.js'
import { checkMergingOff, mergingOff } from './merging-off.js'
import type { Room } from './pool.js'
import { Part, Results } from './results.js'
import type { Row } from './rows.js'
import { runStudy } from './running.js'
import type { Setting } from './settings.js'
import { slurmOptions, type SlurmOptions } from './slurm.js'
import { speedOf } from './speed.js'
import type { Counts } from './state.js'
import { TrialStore } from './store.js'
import { submitStudy } from './submitting.js'
import { promptsOf, type Task } from './task.js'
import type { Tried } from './tried.js'
import { aboutStudy, promptFacts, trialKey, type Trial } from './trial.js'
import { wishesOf } from './wishes.js'

/** What sweep() was asked for, checked. */
export interface StudyFacts {
  task: Pick<Task, 'name' | 'about' | 'options' | 'measure'>
  policies: readonly string[]
  base: Readonly<Record<string, unknown>>
  over: Over
  design: Design
  seeds: readonly number[]
  /** Share of the clusters that settings are chosen on, the others confirm; null: all clusters are one. */
  split: number | null
}

export interface StudyParts {
  model: LoadedModel
  task: Task
  settings: readonly Setting[]
  tried: Tried
  folder: string | undefined
  facts: StudyFacts
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
  /** That it takes at most, as fast as the model has just read 264 tokens. */
  seconds: number
  /** That the store will have, about. */
  bytes: number
  /** What is to be known first. */
  notes: string[]
}

export interface RunOptions extends CallOptions {
  /**
   * So many processes, each with the model (whose packed weights they share) and its share of the threads; fewer where memory has no room for them, which
   * `room` says afterwards. Default 1: this one. Results are the same bit for bit.
   */
  processes?: number
  /** In a notebook: makes what is shown while trials come, ten times a second at most, such as () => figures.frontier(study). Default: the summary; null: nothing. */
  watch?: Watch | null
}

/** Of a trial in a segment, as the longest calls of policies make it. */
const TRIAL_BYTES = 700

/** Beside a task's own. */
const BYTES: Metric = {
  name: 'bytes',
  about: 'keys, values and what belongs to them, at the end',
  unit: 'bytes',
  better: 'less',
}

export class Study extends Results {
  /** `checks`: the trials that are compared with each other. */
  private planned: { card: EngineCard; prompts: readonly Planned[]; checks: readonly string[] } | undefined
  private trials: TrialStore | undefined
  private ran: Room | undefined
  private readonly measuring: Measuring

  /** @internal */
  constructor(private readonly parts: StudyParts) {
    super()
    this.measuring = measuring(parts.task.measure)
  }

  get facts(): StudyFacts {
    return this.parts.facts
  }

  /** The folder that keeps what is done; undefined: memory alone. */
  get store(): string | undefined {
    return this.parts.folder
  }

  /** Processes and threads of the last run; undefined before one that had something to do. */
  get room(): Room | undefined {
    return this.ran
  }

  /** Of the engine here; none before run() or plan(). */
  get cards(): EngineCard[] {
    return this.planned ? [this.planned.card] : []
  }

  /** @internal */
  get able(): Measuring['able'] {
    return this.measuring.able
  }

  /** @internal */
  get settings(): readonly Setting[] {
    return this.parts.settings
  }

  /** @internal */
  get tried(): Tried {
    return this.parts.tried
  }

  get metrics(): readonly Metric[] {
    return [...this.measuring.metrics, BYTES]
  }

  /** What there is to do, before it is done: reads the store, and lets the model read a moment to say how long it will take. Errors: as of run(). */
  plan(options: CallOptions = {}): Promise<Plan> {
    callOptions('plan', options)
    return withBar('planning', options, async (call) => {
      const { prompts } = await this.prepared(call)
      const store = await this.opened()
      const { trials, done } = counted(prompts, store)
      const { cancelled } = await wishesOf(this.store)
      const tokens = tokensOf(this.measuring, jobsOf(prompts, store, cancelled))
      const speed = done < trials ? await speedOf(this.parts.model, call) : { read: 1, steps: 1 }
      const clusters = [...new Set(prompts.map(({ prompt }) => prompt.cluster))]
      return showsItself(
        {
          settings: this.parts.settings.length,
          prompts: new Set(prompts.map(({ prompt }) => prompt.name)).size,
          clusters: clusters.length,
          trials,
          done,
          tokens,
          seconds: tokens.read / speed.read + tokens.steps / speed.steps,
          bytes: trials * TRIAL_BYTES,
          notes: this.notes(clusters, store),
        },
        planText,
      )
    })
  }

  private notes(clusters: readonly string[], { faults }: TrialStore): string[] {
    const { split } = this.facts
    const { comparisons } = this
    const explored = split === null ? clusters.length : exploredOf(clusters, split).size
    const halves = split === null ? [explored] : [explored, clusters.length - explored]
    const blind = halves.filter((count) => comparisons && leastHolmP(count, comparisons) > 0.05)
    return [
      ...blind.map(
        (count) =>
          `${count} clusters cannot show any of ${comparisons} effects and interactions: the least p after Holm is ${leastHolmP(count, comparisons).toPrecision(2)}; take more clusters, or fewer dimensions`,
      ),
      ...(this.without ? [this.without] : []),
      ...faults.map(({ path, why }) => `${path} is broken (${why}): what is missing is done again`),
    ]
  }

  /**
   * Does what is missing, each prompt read once for all its policies; a trial that is done is kept, so it may be interrupted, and run again; where nothing is missing
   * nothing is written. Checks of ZSMerge on the first prompt that without merging it is eviction by history to the last bit. Errors: 'file' for a store that cannot be
   * written, 'invalid' while another process runs it, 'unsupported' for several processes with a policy of your own, 'internal' where that check fails; an AbortError
   * where `npx zslab study stop` ends it.
   */
  async run(options: RunOptions = {}): Promise<this> {
    callOptions('run', options, ['processes', 'watch'])
    const processes = options.processes === undefined ? 1 : integer('processes', options.processes, 1, 256)
    const { watch = () => (this.facts.split === null ? this : this.exploring).summary() } = options
    if (watch !== null && typeof watch !== 'function') throw invalid('watch', 'a function, or null', watch)
    const live = liveOf(watch)
    await withBar('studying,', options, async (call) => {
      const { prompts, checks } = await this.prepared(call)
      const found = await this.opened()
      const { requeued } = await wishesOf(this.store)
      if (!found.tidied || requeued.length || jobsOf(prompts, found).length)
        await this.carriedOut(processes, live.changed, call)
      live.end()
      checkMergingOff(...(checks.map((key) => this.trials!.get(key)) as [Trial?, Trial?]))
    })
    return this
  }

  /**
   * The same by an array of tasks on a cluster with Slurm, a task for each prompt, which work in the study's folder: it, the model's file and zslab have to be
   * there on every machine. Follows the array, submits again what failed or was preempted, and collects what is done; interrupted it leaves the array to go on,
   * and follows it the next time; `npx zslab study stop` cancels it. Errors: as of run(), 'invalid' without a store, 'unsupported' without Slurm.
   */
  async submit(options: SlurmOptions & CallOptions): Promise<this> {
    const slurm = slurmOptions({ ...options })
    const { store: folder } = this
    if (folder === undefined)
      throw new ZslabError(
        'invalid',
        'the study has no store: give sweep() a folder that every machine of the cluster sees',
      )
    await withBar(
      'studying,',
      options,
      async (call) => {
        const { prompts, checks } = await this.prepared(call)
        await this.coordinated(call, async (store, signal) => {
          const { model, task } = this.parts
          const counts = () => counted(prompts, store)
          const kept = () => undefined
          const of = { model, measure: task.measure, folder, store, planned: prompts, options: slurm, counts, kept }
          await submitStudy(of, { ...call, signal })
        })
        checkMergingOff(...(checks.map((key) => this.trials!.get(key)) as [Trial?, Trial?]))
      },
      'trials',
    )
    return this
  }

  private async carriedOut(processes: number, kept: () => void, call: Call): Promise<void> {
    await this.coordinated(call, async (store, signal) => {
      await store.tidy()
      const { model, task, folder } = this.parts
      const planned = this.planned!.prompts
      const counts = () => counted(planned, store)
      const running = { model, measure: task.measure, folder, store, planned, processes, counts, kept }
      this.ran = await runStudy(running, { ...call, signal })
    })
  }

  /** Work that nobody else does meanwhile, on the store as it is then. */
  private coordinated(call: Call, work: (store: TrialStore, signal: AbortSignal | undefined) => Promise<void>) {
    return asCoordinator(this.store, call.signal, async (signal) => {
      const store = await this.opened()
      await this.remember(this.planned!.card)
      await work(store, signal)
    })
  }

  /** As its folder is now: another process may have gone on. */
  private async opened(): Promise<TrialStore> {
    const { folder } = this.parts
    if (!this.trials || folder !== undefined) this.trials = await TrialStore.open(folder)
    return this.trials
  }

  private async prepared({ signal }: Call) {
    const { model, task, settings, facts } = this.parts
    await model.file.sha256({ signal })
    if (this.planned) return this.planned
    const card = engineCard(model)
    const about = aboutStudy(task.measure, card)
    const drawn = await Promise.all(
      facts.seeds.map(async (seed) => ({ seed, prompts: await promptsOf(task, model, seed) })),
    )
    const prompts = drawn.flatMap(({ seed, prompts: own }) =>
      own.map((prompt): Planned => {
        const of = promptFacts(prompt, seed)
        const policies = settings.map(({ policy }) => policy(seed))
        const keys = policies.map((policy, i) => trialKey(about, of, policy, settings[i].budgets))
        const trials = new Map(keys.map((key, i) => [key, { key, policy: policies[i], budgets: settings[i].budgets }]))
        return { prompt, facts: of, keys, trials: [...trials.values()] }
      }),
    )
    const [first] = prompts
    const pair = mergingOff(settings.map(({ policy }) => policy(first.facts.seed))) ?? []
    const checks = pair.map((policy) => ({ key: trialKey(about, first.facts, policy), policy, budgets: undefined }))
    first.trials.push(...checks.filter(({ key }) => !first.keys.includes(key)))
    return (this.planned = { card, prompts, checks: checks.map(({ key }) => key) })
  }

  private async remember(card: EngineCard): Promise<void> {
    const { folder, facts } = this.parts
    if (folder === undefined) return
    const [{ name: metric }] = this.metrics
    const about = { format: 'zslab.study', version: 1, ...facts, metric, card }
    const text = JSON.stringify(about, undefined, 2)
    await replaceFile(join(folder, 'study.json'), 'the study', [text, '\n'])
  }

  /** Of all clusters. Errors: 'invalid' before run() or plan(). */
  get all(): Row[] {
    const { planned, trials: store } = this
    if (!planned || !store)
      throw new ZslabError(
        'invalid',
        'the study has not been run yet: await study.run(), or study.plan() to read what its store has',
      )
    // Name and cluster are those of this study: another one may have called the same prompt otherwise.
    return planned.prompts.flatMap(({ keys, facts }) =>
      this.parts.settings.flatMap(({ levels }, i) => {
        const trial = store.get(keys[i])
        return trial ? [{ levels, trial: { ...trial, prompt: facts } }] : []
      }),
    )
  }

  /** As `all`. Errors: 'invalid' also where the study is split: its halves have rows, summary(), effects() and compare() of their own. */
  get rows(): Row[] {
    if (this.facts.split !== null)
      throw new ZslabError(
        'invalid',
        'the study is split, so that what was chosen on some clusters is reported on others: ask study.exploring or study.confirming, or study.confirm() (study.all has every row)',
      )
    return this.all
  }

  /** The clusters that settings are chosen on. Errors: 'invalid' where the study is not split, and as of `all`. */
  get exploring(): Part {
    return this.half('exploring')
  }

  /** The others, on which what was chosen is reported. Errors: as of `exploring`. */
  get confirming(): Part {
    return this.half('confirming')
  }

  private half(name: 'exploring' | 'confirming'): Part {
    const { split } = this.facts
    if (split === null)
      throw new ZslabError('invalid', `the study has no ${name} half: make it with split: 0.5, or ask the whole study`)
    const { all } = this
    const explored = exploredOf(
      this.planned!.prompts.map(({ prompt }) => prompt.cluster),
      split,
    )
    const rows = all.filter(({ trial }) => explored.has(trial.prompt.cluster) === (name === 'exploring'))
    return new Part(name, rows, this)
  }

  /** The best setting of the exploring half beside the first levels, there and in the other half. Errors: as of `exploring`, and for a metric that there is none of. */
  confirm({ metric }: { metric?: string } = {}): Confirmation {
    return confirmed(this.exploring, this.confirming, this.metricOf(metric))
  }

  /** As runs of kvpress’ evaluation are written: config and metrics of each setting and seed, metrics being means over prompts. Errors: as of `rows`. */
  kvpress(): KvpressRecord[] {
    const { rows, metrics } = this
    const { card, prompts } = this.planned!
    const { settings, task } = this.parts
    const lengths = (seed: number) =>
      prompts.flatMap(({ prompt, facts: of }) => (of.seed === seed ? [this.measuring.work(prompt).read] : []))
    return kvpressRecords({ task, settings, card, metrics, rows, lengths })
  }

  toJSON(): Record<string, unknown> {
    const { facts, metrics, planned } = this
    return { format: 'zslab.study', version: 1, ...facts, card: planned?.card, metrics, rows: planned ? this.all : [] }
  }

  /** @internal For its text. */
  get progress(): Counts | undefined {
    const { planned, trials } = this
    return planned && trials && counted(planned.prompts, trials)
  }
}

showsItself(Study.prototype, studyText)

/** Trials of the design, and those of them that are done. */
function counted(prompts: readonly Planned[], store: TrialStore): Counts {
  const keys = prompts.flatMap((one) => [...new Set(one.keys)])
  const done = keys.flatMap((key) => store.get(key) ?? [])
  return {
    trials: keys.length,
    done: done.length,
    failed: done.filter(({ values }) => values === null).length,
    unchanged: done.filter(({ unchanged }) => unchanged).length,
  }
}
