/**
 * The kernel's end of a page that follows sessions while they work: what there is to see now, with the head that the page shows, at most ten
 * times a second and for a tenth of the time; once they rest, the whole output.
 */
import type { HostComm } from '../progress.js'
import type { Watcher } from '../watchers.js'
import type { ExplorerData, LiveMessage } from './data.js'

export interface Followed {
  watch(watcher: Watcher): () => void
}

/** Reads sessions between two of their calls; undefined: nothing was read yet. */
export interface Views {
  /** With the one head `key` of each run. */
  now(key: string | undefined): ExplorerData | undefined
  whole(): { data: ExplorerData; bundle: Record<string, unknown> } | undefined
}

const LEAST_MS = 100
/** What is sent may take one part in so many of the time: the session has the others. */
const SHARE = 10
/** Sessions that are fed token by token rest between tokens, too. */
const CALM_MS = 300

export class Live implements Watcher {
  /** The head that the page shows. */
  key: string | undefined
  private readonly leave: (() => void)[]
  private next = 0
  private calm: ReturnType<typeof setTimeout> | undefined

  constructor(
    sessions: readonly Followed[],
    private readonly views: Views,
    private readonly comm: Pick<HostComm, 'send'>,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.leave = sessions.map((session) => session.watch(this))
  }

  /**
   * Between two calls of a session: the one that moved can be read. In a task of its own, which an interrupt may cut off where it takes long:
   * that the session goes on is settled before.
   */
  moved(): Promise<void> | undefined {
    clearTimeout(this.calm)
    if (this.clock() < this.next) return undefined
    return new Promise((goOn) => {
      setImmediate(() => {
        setImmediate(goOn)
        this.look()
      })
    })
  }

  private look(): void {
    const from = this.clock()
    this.next = from + LEAST_MS
    this.send(() => {
      const live = this.views.now(this.key)
      return live && { live }
    })
    this.next = from + Math.max(LEAST_MS, SHARE * (this.clock() - from))
  }

  rested(): void {
    clearTimeout(this.calm)
    this.calm = setTimeout(() => this.whole(), CALM_MS)
    // A kernel may end before.
    this.calm.unref?.()
  }

  /** Everything at once, for who has just come or a session that rests. */
  whole(): void {
    this.send(() => {
      const made = this.views.whole()
      return made && { live: made.data, bundle: made.bundle }
    })
  }

  end(): void {
    clearTimeout(this.calm)
    for (const leave of this.leave) leave()
  }

  /** A session that works cannot be read, and a page that went cannot be told: there is a next time, or nobody misses it. */
  private send(make: () => LiveMessage | undefined): void {
    try {
      const message = make()
      if (message) this.comm.send({ ...message })
    } catch {
      // See above.
    }
  }
}
