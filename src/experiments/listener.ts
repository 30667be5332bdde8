/** A running study hears what is asked of it: a file of its folder is read twice a second. */
import { stoppedFromOutside, wishesOf, type Wishes } from './wishes.js'

const EVERY_MS = 500

export class Listener {
  private timer: NodeJS.Timeout | undefined
  private readonly ended = new AbortController()
  private resumed: (() => void)[] = []

  private constructor(
    private readonly folder: string | undefined,
    private now: Wishes,
    private readonly changed: (wishes: Wishes) => Promise<void>,
  ) {}

  /** `changed` is called when something else is asked for than before. */
  static async of(folder: string | undefined, changed: (wishes: Wishes) => Promise<void>): Promise<Listener> {
    const listener = new Listener(folder, await wishesOf(folder), changed)
    if (folder !== undefined) listener.timer = setTimeout(() => void listener.look(folder), EVERY_MS)
    return listener
  }

  /** Another object when something else is asked for. */
  get wishes(): Wishes {
    return this.now
  }

  /** Aborted when the study is told to stop. */
  get stop(): AbortSignal {
    return this.ended.signal
  }

  private async look(folder: string): Promise<void> {
    const found = await wishesOf(folder)
    if (JSON.stringify(found) !== JSON.stringify(this.now)) {
      this.now = found
      if (found.stopped) this.ended.abort(stoppedFromOutside(folder))
      if (!found.paused || found.stopped) this.goOn()
      await this.changed(found)
    }
    if (this.timer) this.timer = setTimeout(() => void this.look(folder), EVERY_MS)
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
