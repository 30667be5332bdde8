/** The trials of a study: all that its design has, those of them that are next, and what its store has. */
import { ZslabError } from '../errors.js'
import type { Call } from '../native/call.js'
import { exploredOf } from './confirm.js'
import { designedTrials, type Designed } from './designed.js'
import { scheduleOf, type Schedule } from './halving.js'
import { halvingIn } from './designs.js'
import type { Planned } from './jobs.js'
import type { Metric } from './measures/measuring.js'
import { checkMergingOff } from './merging-off.js'
import { counted, type Counts } from './state.js'
import { TrialStore } from './store.js'
import type { StudyParts } from './study-facts.js'

export class StudyTrials {
  private drawn: Designed | undefined
  private opened: TrialStore | undefined

  constructor(
    private readonly parts: StudyParts,
    /** What halving ranks settings by. */
    private readonly ranking: Metric | undefined,
  ) {}

  /** Draws the prompts; once. Errors: 'invalid' for a split that leaves nothing on one side, and as of the task. */
  async draw({ signal }: Call): Promise<Designed> {
    const { model, task, settings, facts } = this.parts
    await model.file.sha256({ signal })
    if (this.drawn) return this.drawn
    const drawn = await designedTrials(model, task, settings, facts.seeds)
    if (facts.split !== null) checkSplit(drawn, facts.split)
    return (this.drawn = drawn)
  }

  /** Reads the store as its folder is now: another process may have gone on. */
  async open(): Promise<TrialStore> {
    const { folder } = this.parts
    if (!this.opened || folder !== undefined) this.opened = await TrialStore.open(folder)
    return this.opened
  }

  /** Undefined before draw(). */
  get designed(): Designed | undefined {
    return this.drawn
  }

  /** Undefined before draw() and open(). */
  get counts(): Counts | undefined {
    return this.drawn && this.opened && counted(this.whole, this.opened)
  }

  /** Errors: 'invalid' before draw() and open(). */
  get known(): Designed & { store: TrialStore } {
    const { drawn, opened: store } = this
    if (drawn && store) return { ...drawn, store }
    throw new ZslabError(
      'invalid',
      'the study has not been run yet: await study.run(), or study.plan() to read what its store has',
    )
  }

  /** Of a design that halves: what follows from the trials that are there. */
  get schedule(): Schedule | undefined {
    const { drawn, opened, ranking: metric, parts } = this
    const halving = halvingIn(parts.facts.design)
    if (!halving || !metric || !drawn || !opened) return undefined
    return scheduleOf({
      settings: parts.settings.map(({ levels }) => levels),
      prompts: drawn.prompts,
      explored: [...this.explored(parts.facts.split!)],
      metric,
      halving,
      get: (key) => opened.get(key),
    })
  }

  /** Every trial that there is to do, at most. After draw(). */
  get whole(): readonly Planned[] {
    return this.schedule?.all ?? this.drawn!.prompts
  }

  /** What is to be done before it is known what else is. After draw(). */
  get next(): readonly Planned[] {
    return this.schedule?.next ?? this.drawn!.prompts
  }

  /** The clusters that a study with this `split` explores. After draw(). */
  explored(split: number): Set<string> {
    return exploredOf(clustersOf(this.drawn!), split)
  }

  /** Errors: 'internal' where trials that are to be the same are not. */
  check(): void {
    const { checks, store } = this.known
    const [off, base] = checks.map((key) => store.get(key))
    checkMergingOff(off, base)
  }
}

const clustersOf = ({ prompts }: Designed) => prompts.map(({ prompt }) => prompt.cluster)

function checkSplit(drawn: Designed, split: number): void {
  const all = new Set(clustersOf(drawn)).size
  const explored = exploredOf(clustersOf(drawn), split).size
  if (explored && explored < all) return
  throw new ZslabError(
    'invalid',
    `a split of ${split} leaves none of ${all} cluster${all === 1 ? '' : 's'} to ${explored ? 'confirm' : 'choose'} on: give more clusters (texts or prompts), or leave split out`,
  )
}
