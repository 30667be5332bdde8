/** The figure of the part that is wanted: one question to the kernel at a time, and what is no longer wanted when it comes is dropped. */
import type { Part } from '../part.js'
import type { Zoom } from '../zoom.js'
import { partWords, same } from './wanted.js'

/** What a long figure says of itself; undefined: it cannot be zoomed into. */
export const zoomOf = (figure: unknown): Zoom | undefined =>
  (figure as { layout?: { meta?: { zoom?: Zoom } } } | undefined)?.layout?.meta?.zoom

/** Who draws and tells. */
export interface Shown {
  show: (figure: unknown) => Promise<unknown>
  busy: (is: boolean) => void
  say: (sentence: string) => void
}

export class Tiles {
  /** Of the figure that is shown. */
  zoom: Zoom
  wanted: Part
  private asking = false
  private ended = false

  /** `ask` rejects with a sentence where there is no answer. */
  constructor(
    private figure: unknown,
    private readonly ask: (part: Part) => Promise<Record<string, unknown>>,
    private readonly shown: Shown,
  ) {
    this.zoom = zoomOf(figure)!
    this.wanted = this.zoom.part
  }

  /** `moved`: the picture's axes are no longer those of what is shown, so it is drawn again even if nothing else is wanted. */
  go(part: Part, moved = false): void {
    this.wanted = part
    if (this.asking) return
    if (moved && same(part, this.zoom.part)) void this.shown.show(this.figure)
    else if (!same(part, this.zoom.part)) void this.fetch()
  }

  end(): void {
    this.ended = true
  }

  private async fetch(): Promise<void> {
    const { shown } = this
    this.asking = true
    shown.busy(true)
    try {
      while (!this.ended && !same(this.wanted, this.zoom.part)) {
        const { wanted } = this
        const { figure } = await this.ask(wanted)
        if (this.ended || !same(wanted, this.wanted)) continue
        const zoom = zoomOf(figure)
        if (!zoom)
          throw new Error('The kernel answered with something else than a figure: update zslab and run the cell again.')
        this.zoom = zoom
        this.figure = figure
        await shown.show(figure)
      }
      if (!this.ended) shown.say(partWords(this.zoom.whole, this.zoom.part))
    } catch (error) {
      this.wanted = this.zoom.part
      if (!this.ended) shown.say((error as Error).message)
    } finally {
      this.asking = false
      shown.busy(false)
    }
  }
}
