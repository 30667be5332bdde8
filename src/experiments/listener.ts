/** A running study hears what is asked of it: a file of its folder is read twice a second. Trials that are to be done again leave its store. */
import type { TrialStore } from './store.js'
import { changeWishes, NOTHING_ASKED, stoppedFromOutside, wishesOf, type Wishes } from './wishes.js'

const EVERY_MS = 500

export class Listener {
  private timer: NodeJS.Timeout | undefined
  private readonly ended = new AbortController()
  private resumed: (() => void)[] = []
  private now: Wishes = NOTHING_ASKED

  private constructor(
    private readonly folder: string,
    private readonly store: TrialStore,
    private readonly changed: ((wishes: Wishes) => Promise<void>) | undefined,
  ) {}

  /** `changed` is called with what is asked for, and whenever that is something else. Errors: 'file', and those of `changed`; later ones end the study. */
  static async of(
    folder: string | undefined,
    store: TrialStore,
    changed?: (wishes: Wishes) => Promise<void>,
  ): Promise<Listener> {
    const listener = new Listener(folder ?? '', store, changed)
    if (folder === undefined) return listener
    await listener.heard(await wishesOf(folder))
    listener.timer = setTimeout(() => void listener.look(), EVERY_MS)
    return listener
  }

  /** Another object when something else is asked for. */
  get wishes(): Wishes {
    return this.now
  }

  /** Aborted when the study is told to stop, and where what is asked cannot be done. */
  get stop(): AbortSignal {
    return this.ended.signal
  }

  private async look(): Promise<void> {
    try {
      const found = await wishesOf(this.folder)
      if (JSON.stringify(found) !== JSON.stringify(this.now)) await this.heard(found)
    } catch (error) {
      this.ended.abort(error)
      this.goOn()
    }
    if (this.timer) this.timer = setTimeout(() => void this.look(), EVERY_MS)
  }

  private async heard(found: Wishes): Promise<void> {
    const { folder, store } = this
    if (found.stopped) this.ended.abort(stoppedFromOutside(folder))
    const { requeued } = found
    if (requeued.length) {
      await store.forget(requeued)
      await changeWishes(folder, (now) => ({ requeued: now.requeued.filter((key) => !requeued.includes(key)) }))
    }
    this.now = found
    if (!found.paused || found.stopped) this.goOn()
    await this.changed?.(found)
  }

  /** Waits while the study is paused, and no longer than `signal`. */
  async go(signal: AbortSignal | undefined): Promise<void> {
    if (!this.now.paused || signal?.aborted) return
    await new Promise<void>((resolve) => {
      this.resumed.push(resolve)
      signal?.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  private goOn(): void {
    for (const resolve of this.resumed.splice(0)) resolve()
  }

  close(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    this.goOn()
  }
}
