/** explore(run): the trace explorer in JupyterLab and Notebook, and a static picture and text everywhere else. */
import { randomUUID } from 'node:crypto'
import { forget, remember, type Answering as Answers } from '../comm/answer.js'
import { ZslabError } from '../errors.js'
import { invalid, options as checked } from '../expect.js'
import { headOf } from '../figures/fates.js'
import type { HeadMeasures } from '../figures/head-measures.js'
import { tokenStrip } from '../figures/token-strip.js'
import { showsItself } from '../show/show.js'
import { answersOf, type Answering } from './answer.js'
import { EXPLORER_MIME, headKey, type ExplorerData, type ExplorerMeasures } from './data.js'
import { measuredOf } from './measured.js'
import { documentOf, packedRuns, RunPack, type Shown } from './pack.js'
import { stacked } from './picture.js'
import { labelled, sourceOf, type Explored, type Source } from './sources.js'

export type { Explored } from './sources.js'

export interface ExploreOptions {
  /** The kv head to begin with. Default: the middle layer's first. */
  layer?: number
  kvHead?: number
  /** What to call two runs. Default: their policies and slots. */
  labels?: string[]
  /**
   * What headImportance() found of the runs' model: heads can be coloured by any measure, and each has a passport, its values and places
   * among all heads.
   */
  importance?: HeadMeasures
}

/** One output of a notebook, pictures and all, bytes. */
const LIMIT = 2_000_000
/** What JSON makes longer: quotes, escapes. */
const SPARE = 30_000
const NOTHING = 'Nothing was read yet: this shows what the session does once it reads.'

/**
 * What the cache did, to be looked at step by step: as the last line of a cell. In JupyterLab and Notebook (with the extension that
 * `npx zslab install` brings) steps, tokens, slots, lineages and all heads of one run, or of two side by side, are linked; elsewhere the chosen
 * head's tokens are a static picture. An output takes at most 2 MB: the events of as many heads as fit are in it, the chosen one first,
 * and work without a kernel; the page asks a kernel that still has the run for the others. A session is followed while it works, at most
 * ten times a second; when it rests the output is made anew, and saved so. `explore(session.trace)` shows it as it is now.
 * Errors: 'invalid' for runs without trace: true, for more than two, for a layer or head that there is none of, for importance of a model of
 * another shape, unknown options.
 */
export function explore(run: Explored, options?: ExploreOptions): Explorer
export function explore(run: Explored, other: Explored, options?: ExploreOptions): Explorer
export function explore(run: Explored, ...rest: (Explored | ExploreOptions | undefined)[]): Explorer {
  const other = sourceOf(rest[0])
  const more = rest.slice(other ? 1 : 0)
  if (more.length > 1 || sourceOf(more[0]))
    throw new ZslabError('invalid', 'explore shows one run or two side by side: explore(run, other, options)')
  const options = checked('explore', more[0], ['layer', 'kvHead', 'labels', 'importance']) as ExploreOptions
  const first = sourceOf(run)
  if (!first) throw invalid('run', 'a run (from session.generate), a session or a trace (run.trace, Trace.open)', run)
  const sources = other ? [first, other] : [first]
  // Complains where a run kept no events, or has no such head.
  const shapes = sources.map((source) => source.shape())
  const [chosen] = shapes.map((shape) => headOf(shape, options))
  return new Explorer(sources, options.labels, chosen, measuredOf(options.importance, shapes))
}

interface Made {
  data: ExplorerData
  bundle: Record<string, unknown>
}

export class Explorer {
  private readonly id = randomUUID()
  private readonly answering: Answering
  private readonly answers: Answers
  private made: Made | undefined

  /** @internal */
  constructor(
    private readonly sources: readonly Source[],
    private readonly labels: string[] | undefined,
    private readonly chosen: { layer: number; kvHead: number },
    private readonly measured: ExplorerMeasures | undefined,
  ) {
    labelled(sources, labels) // complains about labels
    const sessions = sources.flatMap(({ session }) => session ?? [])
    this.answering = { packs: [], sessions, views: { now: (key) => this.now(key), whole: () => this.whole() } }
    this.answers = answersOf(this.answering)
  }

  /** What the static picture shows, in words and numbers, a line for each run. */
  get summary(): string {
    const shown = labelled(this.sources, this.labels)
    return shown ? summaryOf(shown, this.strips(shown)) : NOTHING
  }

  private strips(shown: readonly Shown[]) {
    return shown.map(({ trace }) => tokenStrip(trace, this.chosen))
  }

  private get of() {
    const { id, chosen, measured } = this
    return { id, chosen, measured, live: this.answering.sessions.length > 0 }
  }

  /** What a page is sent while a session works. */
  private now(key = headKey(this.chosen.layer, this.chosen.kvHead)): ExplorerData | undefined {
    const packs = labelled(this.sources, this.labels)?.map((shown) => new RunPack(shown))
    if (!packs) return undefined
    this.answering.packs = packs
    const data = documentOf(packs, this.of)
    data.runs.forEach((run, i) => {
      const head = packs[i].head(key)
      if (head) run.heads[key] = head
    })
    return data
  }

  /** The output; undefined: a session has read nothing yet, or works and cannot be read. */
  private whole(): Made | undefined {
    const shown = labelled(this.sources, this.labels)
    if (!shown) return undefined
    const packs = shown.map((each) => new RunPack(each))
    const strips = this.strips(shown)
    const svg = stacked(strips)
    const data = packedRuns(packs, this.of, LIMIT - SPARE - Buffer.byteLength(JSON.stringify(svg)))
    this.answering.packs = packs
    return { data, bundle: { [EXPLORER_MIME]: data, 'image/svg+xml': svg, 'text/plain': summaryOf(shown, strips) } }
  }

  private waiting(): Record<string, unknown> {
    return { [EXPLORER_MIME]: documentOf([], this.of), 'text/plain': NOTHING }
  }

  /** Forgets what a page could still ask for. @internal */
  dispose(): void {
    forget(this.id)
  }

  [Symbol.for('Jupyter.display')](): Record<string, unknown> {
    // Of a session anew each time: it has gone on.
    const made = (this.of.live ? undefined : this.made) ?? this.whole()
    this.made = made
    remember('run', this.id, this.answers)
    return made?.bundle ?? this.waiting()
  }
}

const summaryOf = (shown: readonly Shown[], strips: readonly { summary: string }[]) =>
  strips.map(({ summary }, i) => `${shown.length > 1 ? `${shown[i].label}: ` : ''}${summary}`).join('\n')

showsItself(Explorer.prototype, (explorer) => explorer.summary)
