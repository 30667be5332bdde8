/** The trace explorer in a page: scrubber, colours and sentences of all runs, a view of each, one selection for everything. */
import { unfit, type ExplorerData } from '../data.js'
import { moved } from '../keys.js'
import { legendOf, MODES, type Mode } from '../look.js'
import { Selected, type Selection } from '../selection.js'
import { TOKEN } from '../story.js'
import { differenceSentence, stepSentence } from '../words.js'
import { plainNumber } from '../../figures/scale.js'
import { Card } from './card.js'
import { element } from './dom.js'
import { Heads, type Kernel } from './heads.js'
import { Paint } from './paint.js'
import { RunView } from './run-view.js'
import { STYLE } from './style.js'
import { opened } from './unpack.js'

/** A theme's style sheet may take effect after its name. */
const SETTLE_MS = 500
/** Screen readers are told where the steps came to rest, not each one on the way. */
const REST_MS = 400

export interface Mounted {
  dispose(): void
}

/** Shows `given` in `place`. Rejects with a sentence where it cannot be read. */
export async function mount(place: HTMLElement, given: unknown, kernel: () => Kernel | undefined): Promise<Mounted> {
  const wrong = unfit(given)
  if (wrong) throw new Error(wrong)
  const data = given as ExplorerData
  const runs = await Promise.all(data.runs.map(opened))
  const explorer = new Page(data, runs, kernel)
  place.replaceChildren(explorer.node)
  explorer.start()
  return explorer
}

class Page implements Mounted {
  readonly node: HTMLElement
  private readonly selected: Selected
  private readonly paint = new Paint()
  private readonly heads: Heads
  private readonly views: RunView[]
  private readonly lastStep: number
  private readonly scrubber: HTMLInputElement
  private readonly stepText = element('output', { class: 'zsx-step' })
  private readonly sentence = element('p', { class: 'zsx-sentence' })
  private readonly spoken = element('p', { class: 'zsx-spoken', 'aria-live': 'polite' })
  private readonly legend = element('div', { class: 'zsx-legend' })
  private readonly follow = element('button', { class: 'zsx-follow', type: 'button' }, 'follow the newest token')
  private readonly body = element('div', { class: 'zsx-runs' })
  private readonly resized = new ResizeObserver(() => this.soon())
  private readonly recoloured = new MutationObserver(() => {
    this.soon()
    setTimeout(() => this.soon(), SETTLE_MS)
  })
  private frame = 0
  private resting: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly data: ExplorerData,
    runs: Awaited<ReturnType<typeof opened>>[],
    kernel: () => Kernel | undefined,
  ) {
    this.lastStep = Math.max(...data.runs.map((run) => run.lastStep))
    const first: Selection = {
      step: 0,
      ...data.chosen,
      position: -1,
      slot: undefined,
      mode: 'region',
      around: undefined,
    }
    this.selected = new Selected(first)
    this.heads = new Heads(data, kernel)
    this.scrubber = element('input', {
      type: 'range',
      class: 'zsx-scrubber',
      min: 0,
      max: this.lastStep,
      step: 1,
      value: 0,
      'aria-label': 'Step: ← and → by one, with Shift by 10, with Ctrl or Alt by 100',
    })
    const modes = element(
      'select',
      { class: 'zsx-mode', 'aria-label': 'Colours of tokens' },
      ...MODES.map((mode) => element('option', { value: mode }, `colour by ${mode}`)),
    )
    // JupyterLab's own keys stay out of it.
    this.node = element('div', {
      class: 'zsx',
      'data-lm-suppress-shortcuts': 'true',
      role: 'group',
      'aria-label': 'Trace explorer',
    })
    const card = new Card(this.node)
    this.views = runs.map(
      (open, index) =>
        new RunView({ index, open, selected: this.selected, paint: this.paint, card, heads: this.heads }, () =>
          this.soon(),
        ),
    )
    this.body.append(...this.views.map(({ node }) => node))
    this.node.append(
      element('style', {}, STYLE),
      element('div', { class: 'zsx-bar' }, this.scrubber, this.stepText, modes, this.follow),
      this.sentence,
      this.spoken,
      this.legend,
      this.body,
      card.node,
    )
    this.scrubber.addEventListener('input', () => this.selected.change({ step: Number(this.scrubber.value) }))
    modes.addEventListener('change', () => this.selected.change({ mode: modes.value as Mode }))
    this.follow.addEventListener('click', () => this.selected.change({ around: undefined }))
    this.node.addEventListener('keydown', (event) => {
      if (event.target === modes || event.target instanceof HTMLButtonElement) return
      const step = moved(event, this.selected.now.step, this.lastStep)
      if (step === undefined) return
      event.preventDefault()
      event.stopPropagation()
      this.selected.change({ step })
    })
    this.selected.onChange(() => this.soon())
  }

  start(): void {
    this.resized.observe(this.node)
    this.recoloured.observe(document.body, {
      attributes: true,
      attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name'],
    })
    this.soon()
  }

  dispose(): void {
    this.resized.disconnect()
    this.recoloured.disconnect()
    cancelAnimationFrame(this.frame)
    clearTimeout(this.resting)
    this.heads.dispose()
    this.node.remove()
  }

  /** Draws before the next picture of the screen, once for all that changed until then. */
  private soon(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0
      this.draw()
    })
  }

  private draw(): void {
    const width = this.views[0].node.clientWidth
    if (width === 0) return // A hidden tab: resized comes back.
    this.paint.follow()
    this.node.dataset.theme = this.paint.theme
    const { step, around } = this.selected.now
    this.scrubber.value = String(step)
    this.stepText.textContent = `step ${plainNumber(step)} / ${plainNumber(this.lastStep)}`
    this.follow.hidden = around === undefined
    for (const view of this.views) view.draw(width)
    this.words()
    this.keys()
  }

  private words(): void {
    const { step } = this.selected.now
    const [one, other] = this.views.map(({ chosen }) => chosen)
    const [first, second] = this.data.runs
    const texts = this.views.map(({ view }) => view.open.text)
    const said: string[] = []
    if (one) said.push(stepSentence(one.story, one.step, texts[0]))
    if (one && other) {
      said[0] = `${first.label}: ${said[0]}`
      said.push(`${second.label}: ${stepSentence(other.story, other.step, texts[1])}`)
      said.push(differenceSentence(one.story, other.story, step, [first.label, second.label]))
    }
    const sentence = said.join('\n')
    if (sentence === this.sentence.textContent) return
    this.sentence.textContent = sentence
    clearTimeout(this.resting)
    this.resting = setTimeout(() => (this.spoken.textContent = sentence), REST_MS)
  }

  private keys(): void {
    const { mode } = this.selected.now
    const seen = { merged: false, dropped: false, sink: false }
    for (const { chosen } of this.views) {
      seen.merged ||= !!chosen?.story.end.includes(TOKEN.merged)
      seen.dropped ||= !!chosen?.story.end.includes(TOKEN.dropped)
      seen.sink ||= !!chosen?.looks.sizes.sink
    }
    const state = JSON.stringify([mode, this.paint.theme, seen])
    if (this.legend.dataset.state === state) return
    this.legend.dataset.state = state
    const swatch = (fill: Parameters<Paint['of']>[0], struck?: boolean) =>
      struck
        ? element('span', { class: 'zsx-gone' }, 'word')
        : element('i', { class: 'zsx-swatch', style: `background:${this.paint.of(fill)}` })
    this.legend.replaceChildren(
      ...legendOf(mode, seen).map(({ label, fill, struck }) => element('span', {}, swatch(fill, struck), label)),
      element('span', { class: 'zsx-muted' }, '← → a step, Shift ×10, Ctrl or Alt ×100'),
    )
  }
}
