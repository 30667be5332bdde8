/** explore(run): the trace explorer in JupyterLab and Notebook, and a static picture and text everywhere else. */
import { randomUUID } from 'node:crypto'
import { ZslabError } from '../errors.js'
import { invalid, options as checked } from '../expect.js'
import { headOf, labelledRuns } from '../figures/fates.js'
import { tokenStrip } from '../figures/token-strip.js'
import { showsItself } from '../show/show.js'
import { Trace } from '../trace/events.js'
import { answerPages, forget, remember } from './answer.js'
import { EXPLORER_MIME, type ExplorerData } from './data.js'
import { packedRuns, RunPack } from './pack.js'
import { stacked } from './picture.js'

/** A run, its trace, one opened from a file, or a session as it is now. */
export type Explored = Trace | { readonly trace: Trace }

export interface ExploreOptions {
  /** The kv head to begin with. Default: the middle layer's first. */
  layer?: number
  kvHead?: number
  /** What to call two runs. Default: their policies and slots. */
  labels?: string[]
}

/** One output of a notebook, pictures and all, bytes. */
const LIMIT = 2_000_000
/** What JSON makes longer: quotes, escapes. */
const SPARE = 30_000

/**
 * What the cache did, to be looked at step by step: as the last line of a cell. In JupyterLab and Notebook (with the extension that
 * `npx zslab install` brings) steps, tokens, slots, lineages and all heads of one run, or of two side by side, are linked; elsewhere the chosen
 * head's tokens are a static picture. An output takes at most 2 MB: the events of as many heads as fit are in it, the chosen one first,
 * and work without a kernel; the page asks a kernel that still has the run for the others.
 * Errors: 'invalid' for runs without trace: true, for more than two, for a layer or head that there is none of, unknown options.
 */
export function explore(run: Explored, options?: ExploreOptions): Explorer
export function explore(run: Explored, other: Explored, options?: ExploreOptions): Explorer
export function explore(run: Explored, ...rest: (Explored | ExploreOptions | undefined)[]): Explorer {
  const other = traceIn(rest[0])
  const more = rest.slice(other ? 1 : 0)
  if (more.length > 1 || traceIn(more[0]))
    throw new ZslabError('invalid', 'explore shows one run or two side by side: explore(run, other, options)')
  const options = checked('explore', more[0], ['layer', 'kvHead', 'labels']) as ExploreOptions
  const first = traceIn(run)
  if (!first) throw invalid('run', 'a run (from session.generate), a session or a trace (run.trace, Trace.open)', run)
  const traces = other ? [first, other] : [first]
  const shown = labelledRuns(traces, options.labels).map(({ label, data }, i) => ({ label, data, trace: traces[i] }))
  // Complains where a run kept no events, or has no such head.
  const [chosen] = shown.map(({ data, trace }) => trace.tape() && headOf(data, options))
  return new Explorer(shown, chosen)
}

/** Asked once for each: a session makes its trace anew. */
function traceIn(given: unknown): Trace | undefined {
  if (given instanceof Trace) return given
  if (typeof given !== 'object' || given === null || !('trace' in given)) return undefined
  const { trace } = given
  return trace instanceof Trace ? trace : undefined
}

export class Explorer {
  private readonly id = randomUUID()
  private made: { data: ExplorerData; svg: string } | undefined

  /** @internal */
  constructor(
    private readonly shown: readonly { label: string; trace: Trace }[],
    private readonly chosen: { layer: number; kvHead: number },
  ) {}

  /** What the static picture shows, in words and numbers, a line for each run. */
  get summary(): string {
    return this.strips()
      .map(({ summary }, i) => `${this.shown.length > 1 ? `${this.shown[i].label}: ` : ''}${summary}`)
      .join('\n')
  }

  private strips() {
    return this.shown.map(({ trace }) => tokenStrip(trace, this.chosen))
  }

  private make() {
    if (this.made) return this.made
    const packs = this.shown.map((each) => new RunPack(each))
    const svg = stacked(this.strips())
    const limit = LIMIT - SPARE - Buffer.byteLength(JSON.stringify(svg))
    this.made = { data: packedRuns(packs, this.id, this.chosen, limit), svg }
    remember(this.id, packs)
    return this.made
  }

  /** Forgets what a page could still ask for. @internal */
  dispose(): void {
    forget(this.id)
  }

  [Symbol.for('Jupyter.display')](): Record<string, unknown> {
    answerPages()
    const { data, svg } = this.make()
    return { [EXPLORER_MIME]: data, 'image/svg+xml': svg, 'text/plain': this.summary }
  }
}

showsItself(Explorer.prototype, (explorer) => explorer.summary)
