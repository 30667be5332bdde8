/** A page of the text, token by token, in the colours of the step. Only tokens that look otherwise than before are touched. */
import { moved } from '../keys.js'
import { visible } from '../../figures/visible.js'
import { tokenLines } from '../words.js'
import { TOKEN } from '../story.js'
import { element } from './dom.js'
import type { Chosen, View } from './view.js'

/** Tokens of a page. */
const PAGE = 240

export class Strip {
  readonly node: HTMLElement
  private from = -1
  private tokens: HTMLElement[] = []
  private looks: string[] = []
  private chosen: Chosen | undefined
  private tops: number[] | undefined
  private width = 0
  private height = 0
  private scrolled = 0

  constructor(private readonly view: View) {
    this.node = element('div', {
      class: 'zsx-strip',
      tabindex: 0,
      role: 'application',
      'aria-label': `The text of ${view.open.run.label}: ← and → go from token to token, with Shift by 10, with Ctrl or Alt by 100`,
    })
    this.node.addEventListener('scroll', () => (this.scrolled = this.node.scrollTop))
    this.node.addEventListener('mouseover', (event) => {
      const position = positionOf(event)
      if (position === undefined || !this.chosen) return view.card.hide()
      view.card.show(this.linesOf(position), event)
    })
    this.node.addEventListener('mouseleave', () => view.card.hide())
    this.node.addEventListener('click', (event) => {
      const position = positionOf(event)
      if (position !== undefined) view.selected.change({ position, slot: undefined })
    })
    this.node.addEventListener('keydown', (event) => {
      const { position } = view.selected.now
      const { count } = view.open.run.tokens
      const start = position < 0 ? Math.max(0, this.from) : position
      const to = position < 0 && event.key === 'ArrowRight' ? start : moved(event, start, count - 1)
      if (event.key === 'Escape') view.selected.change({ position: -1, around: undefined })
      if (to === undefined) return
      event.preventDefault()
      event.stopPropagation()
      view.selected.change({ position: to, around: to, slot: undefined })
    })
  }

  linesOf(position: number): string[] {
    const { open } = this.view
    const { story, step, looks } = this.chosen!
    return tokenLines(story, step, position, open.text, open.run.tokens.read, looks.sizes)
  }

  /** Positions that are spelt out at this step: from, and the one after the last. */
  page(chosen: Chosen): [number, number] {
    const { around } = this.view.selected.now
    const { count } = this.view.open.run.tokens
    const at = Math.min(count - 1, around ?? Math.max(0, chosen.story.at(chosen.step).newest))
    // By half a page: what came before can always be seen.
    const from = Math.max(0, (Math.floor((2 * at) / PAGE) - 1) * (PAGE / 2))
    return [from, Math.min(count, from + PAGE)]
  }

  draw(chosen: Chosen, width: number): void {
    this.chosen = chosen
    if (width !== this.width) this.tops = undefined
    this.width = width
    const { paint, selected } = this.view
    const [from, to] = this.page(chosen)
    if (from !== this.from || to - from !== this.tokens.length) this.spell(from, to)
    const now = chosen.story.at(chosen.step)
    const { mode, position, around } = selected.now
    let shown = -1
    for (let i = 0; i < this.tokens.length; i++) {
      const at = from + i
      const state = now.state[at]
      const fill = chosen.looks.at(now, at, mode)
      const gone = state === TOKEN.dropped
      const isSelected = at === position
      const pinned = chosen.story.isPinned(at, chosen.step)
      const look = `${fill} ${gone} ${state} ${isSelected} ${pinned} ${at === now.newest} ${paint.theme}`
      if (look === this.looks[i]) continue
      this.looks[i] = look
      const { style, classList } = this.tokens[i]
      const plain = fill === 'paper'
      style.backgroundColor = plain ? '' : paint.of(fill)
      style.color = plain ? '' : paint.of(`on:${fill}`)
      classList.toggle('zsx-gone', gone)
      classList.toggle('zsx-later', state === TOKEN.notYet)
      classList.toggle('zsx-merged', state === TOKEN.merged)
      classList.toggle('zsx-pinned', pinned)
      classList.toggle('zsx-newest', at === now.newest)
      classList.toggle('zsx-selected', isSelected)
      if (isSelected || (around === undefined && at === now.newest)) shown = i
    }
    if (shown >= 0) this.bring(shown)
  }

  private spell(from: number, to: number): void {
    const { text } = this.view.open
    this.from = from
    this.looks = []
    this.tokens = Array.from({ length: to - from }, (_, i) =>
      element(
        'span',
        { class: 'zsx-token', 'data-position': from + i },
        visible(text(from + i)).replaceAll(' ', '\u00a0'),
      ),
    )
    // Lines may be broken between tokens only.
    this.node.replaceChildren(...this.tokens.flatMap((token) => [token, element('wbr')]))
    this.tops = undefined
    this.node.scrollTop = this.scrolled = 0
  }

  /** Into view, without moving the page around it. Where lines are is asked once for a page: each time would lay it out anew. */
  private bring(token: number): void {
    const { node } = this
    this.tops ??= this.tokens.map(({ offsetTop }) => offsetTop)
    this.height ||= node.clientHeight
    const top = this.tops[token]
    const line = 20
    if (top >= this.scrolled && top + line <= this.scrolled + this.height) return
    this.scrolled = Math.max(0, top < this.scrolled ? top - 4 : top + line + 4 - this.height)
    node.scrollTop = this.scrolled
  }
}

function positionOf(event: Event): number | undefined {
  const position = (event.target as HTMLElement).dataset?.position
  return position === undefined ? undefined : Number(position)
}
