/** A study: settings of policies on a task's prompts, what is done of it and what came out. */
import { join } from 'node:path'
import { ZslabError } from '../errors.js'
import { callOptions, integer, invalid } from '../expect.js'
import { withBar } from '../long-work.js'
import type { Call, CallOptions } from '../native/call.js'
import { planText, studyText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import type { EngineCard } from '../trace/card.js'
import { replaceFile } from '../trace/files/replace.js'
import { confirmed, type Confirmation } from './confirm.js'
import { asCoordinator } from './coordinator.js'
import { jobsOf, tokensOf, type Planned } from './jobs.js'
import { measuring } from './measures/index.js'
import type { Measuring, Metric } from './measures/measuring.js'
import type { Round } from './halving.js'
import { kvpressRecords, type KvpressRecord } from './kvpress.js'
import { liveOf, type Live, type Watch } from './live.js'
import { planNotes, type Plan } from './plan.js'
import type { Room } from './pool.js'
import { Part, Results } from './results.js'
import type { Row } from './rows.js'
import { runStudy } from './running.js'
import type { Setting } from './settings.js'
import { slurmOptions, type SlurmOptions } from './slurm.js'
import { speedOf } from './speed.js'
import { counted, type Counts } from './state.js'
import type { TrialStore } from './store.js'
import type { StudyFacts, StudyParts } from './study-facts.js'
import { StudyTrials } from './study-trials.js'
import { submitStudy } from './submitting.js'
import type { Tried } from './tried.js'
import { changeWishes, wishesOf } from './wishes.js'

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
  private ran: Room | undefined
  private readonly measuring: Measuring
  private readonly trials: StudyTrials

  /** @internal */
  constructor(private readonly parts: StudyParts) {
    super()
    this.measuring = measuring(parts.task.measure)
    const metric = this.metrics.find(({ name }) => name in parts.tried.varied)
    if (metric) throw invalid('over', 'dimensions that are called as no metric is', metric.name)
    this.trials = new StudyTrials(parts, this.halving && this.metricOf(this.halving.metric))
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
    const { designed } = this.trials
    return designed ? [designed.card] : []
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
  async plan(options: CallOptions = {}): Promise<Plan> {
    callOptions('plan', options)
    return withBar('planning', options, async (call) => {
      await this.trials.draw(call)
      const store = await this.trials.open()
      const prompts = this.trials.whole
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
          notes: planNotes(this, this.parts.settings.length, clusters, store.faults),
        },
        planText,
      )
    })
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
    await withBar('studying,', options, async (call) => {
      await this.trials.draw(call)
      const found = await this.trials.open()
      const { requeued } = await wishesOf(this.store)
      if (!found.tidied || requeued.length || jobsOf(this.trials.next, found).length)
        await this.carriedOut(processes, liveOf(watch), call)
      this.trials.check()
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
        await this.trials.draw(call)
        await this.coordinated(call, async (store, signal) => {
          const { model, task } = this.parts
          const counts = () => counted(this.trials.whole, store)
          const kept = () => undefined
          const of = { model, measure: task.measure, folder, store, options: slurm, counts, kept }
          await this.inRounds(store, (planned) => submitStudy({ ...of, planned }, { ...call, signal }))
        })
        this.trials.check()
      },
      'trials',
    )
    return this
  }

  private async carriedOut(processes: number, live: Live, call: Call): Promise<void> {
    await this.coordinated(call, async (store, signal) => {
      await store.tidy()
      const { model, task, folder } = this.parts
      const counts = () => counted(this.trials.whole, store)
      const { changed: kept } = live
      const running = { model, measure: task.measure, folder, store, processes, counts, kept }
      await this.inRounds(store, async (planned) => {
        this.ran = await runStudy({ ...running, planned }, { ...call, signal })
      })
      live.end()
    })
  }

  /** Where settings are dropped, what there is to do depends on what was done; what was cancelled is not waited for. */
  private async inRounds(store: TrialStore, work: (planned: readonly Planned[]) => Promise<void>): Promise<void> {
    for (let more = true; more;) {
      await work(this.trials.next)
      const { cancelled } = await wishesOf(this.store)
      more = this.halving !== undefined && jobsOf(this.trials.next, store, cancelled).length > 0
    }
  }

  /** Work that nobody else does meanwhile, on the store as it is then. */
  private coordinated(call: Call, work: (store: TrialStore, signal: AbortSignal | undefined) => Promise<void>) {
    return asCoordinator(this.store, call.signal, async (signal) => {
      // What ended the run before.
      if (this.store !== undefined) await changeWishes(this.store, () => ({ stopped: false }))
      const store = await this.trials.open()
      await this.remember(this.trials.known.card)
      await work(store, signal)
    })
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
    const { store } = this.trials.known
    // Name and cluster are those of this study: another one may have called the same prompt otherwise.
    return this.trials.whole.flatMap(({ keys, trials, facts }) => {
      const wanted = new Set(trials.map(({ key }) => key))
      return this.parts.settings.flatMap(({ levels }, i) => {
        const trial = wanted.has(keys[i]) ? store.get(keys[i]) : undefined
        return trial ? [{ levels, trial: { ...trial, prompt: facts } }] : []
      })
    })
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
    const explored = this.trials.explored(split)
    const rows = all.filter(({ trial }) => explored.has(trial.prompt.cluster) === (name === 'exploring'))
    return new Part(name, rows, this)
  }

  /** Of a design that halves, those that are over: which settings were dropped after how many clusters, and why. Errors: 'invalid' of another design, and as of `all`. */
  get rounds(): readonly Round[] {
    if (!this.halving)
      throw new ZslabError(
        'invalid',
        'the study drops no settings, so it has no rounds: make it with design: { halving: { first: 4 } }',
      )
    void this.trials.known
    return this.trials.schedule!.rounds
  }

  /** The best setting of the exploring half, or what halving left, beside the first levels, there and in the other half. Errors: as of `exploring`, and for a metric that there is none of. */
  confirm({ metric }: { metric?: string } = {}): Confirmation {
    const { exploring, confirming } = this
    const { schedule } = this.trials
    const left = schedule && (schedule.left === null ? null : this.parts.settings[schedule.left].levels)
    return confirmed(exploring, confirming, this.metricOf(metric ?? this.halving?.metric), left)
  }

  /** As runs of kvpress’ evaluation are written: config and metrics of each setting and seed, metrics being means over prompts. Errors: as of `rows`. */
  kvpress(): KvpressRecord[] {
    const { rows, metrics } = this
    const { card, prompts } = this.trials.known
    const { settings, task } = this.parts
    const lengths = (seed: number) =>
      prompts.flatMap(({ prompt, facts: of }) => (of.seed === seed ? [this.measuring.work(prompt).given] : []))
    return kvpressRecords({ task, settings, card, metrics, rows, lengths })
  }

  toJSON(): Record<string, unknown> {
    const { facts, metrics, cards, progress } = this
    const rounds = this.halving && progress && { rounds: this.rounds }
    return {
      format: 'zslab.study',
      version: 1,
      ...facts,
      card: cards[0],
      metrics,
      rows: progress ? this.all : [],
      ...rounds,
    }
  }

  /** @internal For its text. */
  get progress(): (Counts & { rounds: readonly Round[] }) | undefined {
    const { counts, schedule } = this.trials
    return counts && { ...counts, rounds: schedule?.rounds ?? [] }
  }
}

showsItself(Study.prototype, studyText)
