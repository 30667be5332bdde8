/** One run: its receipt, all heads, the text in the chosen one, its slots, and what is selected. */
import { headKey } from '../data.js'
import { Looks } from '../look.js'
import type { HeadStory } from '../story.js'
import { headSentence, runSentence } from '../words.js'
import { Detail } from './detail.js'
import { element } from './dom.js'
import { Grid } from './grid.js'
import { Overview } from './overview.js'
import { Passport } from './passport.js'
import { Slots } from './slots.js'
import { Strip } from './strip.js'
import type { Chosen, View } from './view.js'

export class RunView {
  readonly node: HTMLElement
  /** The chosen head, once its events are there. */
  chosen: Chosen | undefined
  private readonly overview: Overview
  private readonly strip: Strip
  private readonly slots: Slots
  private readonly detail: Detail
  private readonly grid: Grid
  private readonly passport: Passport
  private readonly headLine = element('p', { class: 'zsx-head-line' })
  private readonly message = element('p', { class: 'zsx-message', role: 'status', hidden: true })
  private readonly ofHead: HTMLElement
  private readonly header = element('header')
  private headed = ''
  private wanted = ''
  private gridDrawn = ''

  constructor(
    readonly view: View,
    private readonly redraw: () => void,
  ) {
    const { run } = view.open
    this.overview = new Overview(view)
    this.strip = new Strip(view)
    this.slots = new Slots(view)
    this.detail = new Detail(view)
    this.grid = new Grid(view)
    this.passport = new Passport(view)
    this.ofHead = element(
      'div',
      { class: 'zsx-of-head' },
      this.overview.surface.canvas,
      this.strip.node,
      this.headLine,
      this.slots.surface.canvas,
      this.detail.node,
    )
    this.node = element(
      'section',
      { class: 'zsx-run', 'aria-label': run.label },
      this.header,
      this.grid.surface.canvas,
      ...(view.measured ? [this.grid.key, this.passport.node] : []),
      this.message,
      this.ofHead,
    )
  }

  /** The run has gone on: what is shown of it is looked up anew. */
  renew(): void {
    this.wanted = ''
  }

  private head(): void {
    const { run } = this.view.open
    const said = JSON.stringify([run.label, run.receipt, runSentence(run)])
    if (said === this.headed) return
    this.headed = said
    const open = !!this.header.querySelector('details')?.open
    this.header.replaceChildren(
      element('h3', { class: 'zsx-title' }, run.label),
      receiptOf(run.receipt, open),
      element('p', { class: 'zsx-muted' }, `${run.model}: ${runSentence(run)}`),
    )
  }

  /** Reads everything it depends on from the selection; cheap where nothing of it changed. */
  draw(width: number): void {
    const { selected, open, heads, index, paint } = this.view
    const { step, layer, kvHead, position, measure } = selected.now
    const { run } = open
    this.head()
    this.choose(layer, kvHead)
    const gridState = `${run.tokens.count} ${run.lastStep} ${step} ${layer} ${kvHead} ${position} ${measure} ${width} ${paint.theme} ${heads.at(index, layer, kvHead) ? 1 : 0}`
    if (gridState !== this.gridDrawn) {
      this.gridDrawn = gridState
      this.grid.draw(step, width)
    }
    this.passport.draw()
    if (!this.chosen) return
    const chosen = (this.chosen = { ...this.chosen, step: Math.min(step, this.chosen.story.lastStep) })
    this.strip.draw(chosen, width)
    this.overview.draw(chosen, width, this.strip.page(chosen))
    this.slots.draw(chosen, width)
    this.headLine.textContent = headSentence(chosen.story, chosen.step, layer, kvHead)
    this.detail.draw(chosen)
  }

  /** Begins to fetch a head that is not there; what was shown is kept until then. */
  private choose(layer: number, kvHead: number): void {
    const key = headKey(layer, kvHead)
    if (key === this.wanted) return
    this.wanted = key
    const { open, heads, index } = this.view
    const { layers, kvHeads } = open.run
    if (layer >= layers || kvHead >= kvHeads) return this.say(`This run has no layer ${layer}, kv head ${kvHead}.`)
    const found = heads.at(index, layer, kvHead)
    if (found) return this.show(found, layer, kvHead)
    if (!heads.has(index, layer, kvHead)) this.say('Asking the kernel for this head …')
    heads.get(index, layer, kvHead).then(
      (story) => {
        if (this.wanted !== key) return
        this.show(story, layer, kvHead)
        this.redraw()
      },
      (error: Error) => {
        if (this.wanted !== key) return
        this.say(error.message)
        // Choosing it again asks again.
        this.wanted = ''
      },
    )
  }

  private show(story: HeadStory, layer: number, kvHead: number): void {
    const { run } = this.view.open
    const sizes = run.sizes[run.sizes.length > 1 ? layer * run.kvHeads + kvHead : 0]
    this.chosen = { story, looks: new Looks(story, sizes), step: 0 }
    this.message.hidden = true
    this.ofHead.hidden = false
  }

  private say(sentence: string): void {
    this.chosen = undefined
    this.message.textContent = sentence
    this.message.hidden = false
    this.ofHead.hidden = true
  }
}

function receiptOf(receipt: { ok: boolean; notes: string[] } | undefined, open: boolean): HTMLElement {
  if (!receipt) return element('span', { class: 'zsx-muted' }, 'no receipt')
  return element(
    'details',
    { class: `zsx-receipt ${receipt.ok ? 'zsx-ok' : 'zsx-failed'}`, open },
    element('summary', {}, receipt.ok ? '✓ receipt ok' : '✗ receipt FAILED'),
    ...receipt.notes.map((note) => element('div', {}, note)),
  )
}
