/** What explore() is given: a run or trace, which is over, or a session, which goes on. */
import { labelledRuns } from '../figures/fates.js'
import { Trace } from '../trace/events.js'
import type { Watchers } from '../watchers.js'
import type { Followed } from './live.js'
import type { Shown } from './pack.js'

/** A run, its trace, one opened from a file, or a session. */
export type Explored = Trace | { readonly trace: Trace }

/** As far as it is needed of a session. */
interface SessionLike {
  readonly trace: Trace
  readonly seqLen: number
  readonly traceLevel: string
  readonly model: { readonly description: { layers: number; kvHeads: number } }
  readonly reading: { readonly watchers: Watchers }
}

export interface Source {
  /** undefined: nothing was read yet, or the session works and cannot be read. */
  trace(): Trace | undefined
  /** Errors: 'invalid' where no events are kept. */
  shape(): { layers: number; kvHeads: number }
  /** That goes on. */
  session: Followed | undefined
}

/** undefined: nothing of the kind. */
export function sourceOf(given: unknown): Source | undefined {
  if (typeof given !== 'object' || given === null || !('trace' in given || given instanceof Trace)) return undefined
  if (isSession(given)) return ofSession(given)
  const trace = given instanceof Trace ? given : given.trace
  if (!(trace instanceof Trace)) return undefined
  return { trace: () => trace, shape: () => (trace.tape(), trace.data()), session: undefined }
}

const isSession = (given: object): given is SessionLike => 'reading' in given && 'traceLevel' in given

function ofSession(session: SessionLike): Source {
  const trace = () => {
    try {
      return session.seqLen ? session.trace : undefined
    } catch {
      return undefined // busy: it can be read between two calls
    }
  }
  const shape = () => {
    // The trace says best what it lacks.
    if (session.traceLevel === 'off') session.trace.tape()
    return session.model.description
  }
  return { trace, shape, session: { watch: (watcher) => session.reading.watchers.add(watcher) } }
}

/** With what they are called; undefined where one of them cannot be read. */
export function labelled(sources: readonly Source[], labels: string[] | undefined): Shown[] | undefined {
  const traces = sources.flatMap((source) => source.trace() ?? [])
  if (traces.length < sources.length) return undefined
  return labelledRuns(traces, labels).map(({ label }, i) => ({ label, trace: traces[i] }))
}
