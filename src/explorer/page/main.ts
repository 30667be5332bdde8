/** The trace explorer in a page: scrubber, colours and sentences of all runs, a view of each, one selection for everything. */
import { keysOf } from '../../comm/page/keys.js'
import { Link, type Kernel } from '../../comm/page/link.js'
import { headKey, unfit, type ExplorerData, type LiveMessage } from '../data.js'
import { HeadsMeasured } from '../heads-measured.js'
import { moved } from '../keys.js'
import { legendOf, MODES, type LegendItem, type Mode } from '../look.js'
import { Selected, type Selection } from '../selection.js'
import { TOKEN } from '../story.js'
import { differenceSentence, stepSentence } from '../words.js'
import { plainNumber } from '../../figures/scale.js'
import { Card } from './card.js'
import { element } from './dom.js'
import { Heads, storyIn, WORDS } from './heads.js'
import { Paint } from './paint.js'
import { RunView } from './run-view.js'
import { STYLE } from './style.js'
import { opened, type OpenRun } from './unpack.js'

/** A theme's style sheet may take effect after its name. */
const SETTLE_MS = 500
/** Screen readers are told where the steps came to rest, not each one on the way. */
const REST_MS = 400

export interface Mounted {
  /** Which explorer it shows. */
  readonly id: string
  /** Shows the same explorer's newer document; what is selected stays. */
  update(given: unknown): Promise<void>
  dispose(): void
}

/**
 * Shows `given` in `place`; of a session that works, what it does. `save`: keeps a newer output in the notebook in place of the one given.
 * Rejects with a sentence where it cannot be read.
 */
export async function mount(
  place: HTMLElement,
  given: unknown,
  kernel: () => Kernel | undefined,
  save: (bundle: Record<string, unknown>) => void = () => undefined,
): Promise<Mounted> {
  const wrong = unfit(given)
  if (wrong) throw new Error(wrong)
  const shown = new Shown(place, given as ExplorerData, kernel, save)
  await shown.update(given)
  shown.follow()
  return shown
}

/** An explorer in its place, from the first document on. */
class Shown implements Mounted {
  readonly id: string
  private readonly link: Link
  private page: Page | undefined
  /** Documents one after the other; of those that wait only the last is shown. */
  private work = Promise.resolve()
  private newest: unknown
  private disposed = false

  constructor(
    private readonly place: HTMLElement,
    private readonly first: ExplorerData,
    kernel: () => Kernel | undefined,
    save: (bundle: Record<string, unknown>) => void,
  ) {
    this.id = first.id
    this.link = new Link(first.id, kernel, WORDS)
    this.link.onTold = (message) => {
      if (!('live' in message)) return
      const { live, bundle } = message as unknown as LiveMessage
      void this.update(live).then(() => this.disposed || this.page?.say(bundle ? 'rest' : 'works'))
      if (bundle) save(bundle)
    }
    this.link.onGone = () => {
      this.page?.say('gone')
      if (!this.page) this.wait('The kernel is gone, and the session had read nothing.')
    }
  }

  follow(): void {
    if (!this.first.live) return
    if (!this.link.follow() && !this.page)
      this.wait('The session had read nothing when this was saved: run the cell again.')
  }

  update(given: unknown): Promise<void> {
    this.newest = given
    this.work = this.work.then(async () => {
      const data = this.newest as ExplorerData
      if (this.newest !== given || this.disposed || unfit(data)) return
      if (this.page) return this.page.update(data)
      if (!data.runs.length) return this.wait('Waiting for the session to read something …')
      const runs = await Promise.all(data.runs.map(opened))
      if (this.disposed) return
      this.page = new Page(data, runs, this.link)
      this.place.replaceChildren(this.page.node)
      this.page.start()
    })
    return this.work
  }

  private wait(sentence: string): void {
    this.place.replaceChildren(element('p', { role: 'status' }, sentence))
  }

  dispose(): void {
    this.disposed = true
    this.link.dispose()
    this.page?.dispose()
  }
}

const LIVE_WORDS = {
  works: 'live: follows the session',
  rest: 'live: the session rests',
  gone: 'no longer live: the kernel is gone',
}

class Page {
  readonly node: HTMLElement
  private readonly selected: Selected
  private readonly paint = new Paint()
  private readonly heads: Heads
  private readonly views: RunView[]
  private lastStep: number
  private readonly scrubber: HTMLInputElement
  private readonly stepText = element('output', { class: 'zsx-step' })
  private readonly sentence = element('p', { class: 'zsx-sentence' })
  private readonly spoken = element('p', { class: 'zsx-spoken', 'aria-live': 'polite' })
  private readonly legend = element('div', { class: 'zsx-legend' })
  private readonly follow = element('button', { class: 'zsx-follow', type: 'button' }, 'follow the newest token')
  private readonly live = element('span', { class: 'zsx-live', role: 'status', hidden: true })
  private readonly body = element('div', { class: 'zsx-runs' })
  private readonly resized = new ResizeObserver(() => this.soon())
  private readonly recoloured = new MutationObserver(() => {
    this.soon()
    setTimeout(() => this.soon(), SETTLE_MS)
  })
  private frame = 0
  private resting: ReturnType<typeof setTimeout> | undefined

  constructor(
    data: ExplorerData,
    private readonly runs: readonly OpenRun[],
    link: Link,
  ) {
    this.lastStep = lastOf(data)
    const first: Selection = {
      // Of a session that works the end is what there is to see.
      step: data.live ? this.lastStep : 0,
      ...data.chosen,
      position: -1,
      slot: undefined,
      mode: 'region',
      measure: '',
      around: undefined,
    }
    this.selected = new Selected(first)
    this.heads = new Heads(runs, link)
    this.scrubber = element('input', {
      type: 'range',
      class: 'zsx-scrubber',
      min: 0,
      max: this.lastStep,
      step: 1,
      value: first.step,
      'aria-label': 'Step: ← and → by one, with Shift by 10, with Ctrl or Alt by 100',
    })
    const modes = element(
      'select',
      { class: 'zsx-mode', 'aria-label': 'Colours of tokens' },
      ...MODES.map((mode) => element('option', { value: mode }, `colour by ${mode}`)),
    )
    const { measured } = data
    const of = measured && new HeadsMeasured(measured, data.runs[0].kvHeads)
    const measures = element(
      'select',
      { class: 'zsx-measure', 'aria-label': 'Colours of heads', hidden: !of },
      element('option', { value: '' }, 'heads: what they kept'),
      ...(of?.names ?? []).map((name) => element('option', { value: name }, `heads by ${name}`)),
    )
    this.node = element('div', { class: 'zsx', role: 'group', 'aria-label': 'Trace explorer' })
    const card = new Card(this.node)
    this.views = runs.map(
      (open, index) =>
        new RunView(
          { index, open, selected: this.selected, paint: this.paint, card, heads: this.heads, measured: of },
          () => this.soon(),
        ),
    )
    this.body.append(...this.views.map(({ node }) => node))
    this.node.append(
      element('style', {}, STYLE),
      element('div', { class: 'zsx-bar' }, this.scrubber, this.stepText, modes, measures, this.follow, this.live),
      this.sentence,
      this.spoken,
      this.legend,
      this.body,
      card.node,
    )
    this.scrubber.addEventListener('input', () => this.selected.change({ step: Number(this.scrubber.value) }))
    modes.addEventListener('change', () => this.selected.change({ mode: modes.value as Mode }))
    measures.addEventListener('change', () => this.selected.change({ measure: measures.value }))
    this.follow.addEventListener('click', () => this.selected.change({ around: undefined }))
    this.node.addEventListener('keydown', (event) => {
      if (event.target instanceof HTMLSelectElement || event.target instanceof HTMLButtonElement) return
      const step = moved(event, this.selected.now.step, this.lastStep)
      if (step === undefined) return
      event.preventDefault()
      event.stopPropagation()
      this.selected.change({ step })
    })
    // After those of our own.
    keysOf(this.node)
    this.selected.onChange(() => {
      measures.value = this.selected.now.measure
      this.soon()
    })
  }

  start(): void {
    this.resized.observe(this.node)
    this.recoloured.observe(document.body, {
      attributes: true,
      attributeFilter: ['data-jp-theme-light', 'data-jp-theme-name'],
    })
    this.soon()
  }

  /** A newer document; who looks at the end goes on with it. Nothing changes before all of it is unpacked. */
  async update(data: ExplorerData): Promise<void> {
    const { layer, kvHead } = this.selected.now
    const key = headKey(layer, kvHead)
    const newer = await Promise.all(data.runs.map(opened))
    const stories = await Promise.all(data.runs.map((run) => storyIn(run, key)))
    const atEnd = this.selected.now.step >= this.lastStep
    this.runs.forEach((open, i) => {
      Object.assign(open, newer[i])
      this.heads.renew(i, key, stories[i])
    })
    for (const view of this.views) view.renew()
    this.lastStep = lastOf(data)
    this.scrubber.max = String(this.lastStep)
    if (atEnd) this.selected.change({ step: this.lastStep })
    this.soon()
  }

  say(state: keyof typeof LIVE_WORDS): void {
    this.live.hidden = false
    this.live.dataset.state = state
    if (this.live.textContent !== LIVE_WORDS[state]) this.live.textContent = LIVE_WORDS[state]
  }

  dispose(): void {
    this.resized.disconnect()
    this.recoloured.disconnect()
    cancelAnimationFrame(this.frame)
    clearTimeout(this.resting)
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
    const [first, second] = this.runs.map(({ run }) => run)
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
    const seen = { merged: false, dropped: false, sink: false, pinned: false }
    for (const { chosen } of this.views) {
      seen.merged ||= !!chosen?.story.end.includes(TOKEN.merged)
      seen.dropped ||= !!chosen?.story.end.includes(TOKEN.dropped)
      seen.sink ||= !!chosen?.looks.sizes.sink
      seen.pinned ||= !!chosen?.story.pinned.some((step) => step >= 0)
    }
    const state = JSON.stringify([mode, this.paint.theme, seen])
    if (this.legend.dataset.state === state) return
    this.legend.dataset.state = state
    const swatch = ({ fill, struck, pinned }: LegendItem) =>
      struck
        ? element('span', { class: 'zsx-gone' }, 'word')
        : element('i', {
            class: `zsx-swatch${pinned ? ' zsx-pinned' : ''}`,
            style: `background-color:${this.paint.of(fill)};color:${this.paint.of(`on:${fill}`)}`,
          })
    this.legend.replaceChildren(
      ...legendOf(mode, seen).map((item) => element('span', {}, swatch(item), item.label)),
      element('span', { class: 'zsx-muted' }, '← → a step, Shift ×10, Ctrl or Alt ×100'),
    )
  }
}

const lastOf = ({ runs }: ExplorerData) => Math.max(...runs.map(({ lastStep }) => lastStep))
