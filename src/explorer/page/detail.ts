/** What is selected, in words: a token's story, or who is in a merged slot, in order of arrival. */
import { numberOr, plainNumber } from '../../figures/scale.js'
import { hue } from '../look.js'
import { memberLines, tokenLines, type MemberLine } from '../words.js'
import { element } from './dom.js'
import type { Chosen, View } from './view.js'

/** Members that are listed; the newest of more. */
const LISTED = 1000
const NAMES = ['', 'token', 'at', 'step', 'score', 'similarity']

export class Detail {
  readonly node = element('section', { class: 'zsx-detail', 'aria-label': 'What is selected' })
  private drawn = ''
  private readonly title = element('div', { class: 'zsx-line' })
  private readonly list = element('tbody')
  private readonly table = element(
    'div',
    { class: 'zsx-lineage', tabindex: 0, role: 'region', 'aria-label': 'Members of the slot' },
    element(
      'table',
      {},
      element('thead', {}, element('tr', {}, ...NAMES.map((name) => element('th', { scope: 'col' }, name)))),
      this.list,
    ),
  )
  /** Whose members are listed, and which of them: from, and the one after the last. */
  private listed = { of: '', from: 0, to: 0 }

  constructor(private readonly view: View) {
    this.node.addEventListener('click', (event) => {
      const { position } = (event.target as HTMLElement).dataset
      if (position !== undefined) view.selected.change({ position: Number(position), around: Number(position) })
    })
  }

  draw(chosen: Chosen): void {
    const { selected, index, paint } = this.view
    const { slot, position, step, layer, kvHead } = selected.now
    const own = slot?.run === index ? slot.slot : -1
    const now = chosen.story.at(chosen.step)
    const members = own >= 0 && own < now.slots ? now.members[own] : 0
    // A merged slot's list changes when somebody joins, all else with the step.
    const state = `${own} ${members} ${position} ${layer} ${kvHead} ${paint.theme} ${members > 1 ? '' : step}`
    if (state === this.drawn) return
    this.drawn = state
    if (members > 1) this.lineage(chosen, own, `${layer} ${kvHead} ${own}`)
    else if (position >= 0) this.node.replaceChildren(...this.token(chosen, position))
    else
      this.node.replaceChildren(
        element(
          'p',
          { class: 'zsx-muted' },
          'Point at a token or a slot; click a slot with a hole to see who is in it.',
        ),
      )
  }

  private token({ story, step, looks }: Chosen, position: number): Node[] {
    const { text, run } = this.view.open
    const lines = tokenLines(story, step, position, text, run.tokens.read, looks.sizes)
    return lines.map((line, i) => element(i ? 'div' : 'strong', { class: 'zsx-line' }, line))
  }

  /** Members come at the end and never change places: only those that came or went since are touched. */
  private lineage({ story, step }: Chosen, slot: number, of: string): void {
    const { open, paint } = this.view
    const members = memberLines(story, step, slot, open.text, LISTED)
    const { length: to } = members
    const from = Math.max(0, to - LISTED)
    const before = this.listed.of === of && this.listed.to > from && this.listed.from < to
    const { list } = this
    if (!before) {
      list.replaceChildren()
      this.listed = { of, from, to: from }
    }
    const rows = (start: number, end: number) =>
      Array.from({ length: Math.max(0, end - start) }, (_, i) => rowOf(members[start + i]!, start + i))
    list.prepend(...rows(from, this.listed.from))
    for (let at = this.listed.from; at < from; at++) list.firstChild!.remove()
    list.append(...rows(this.listed.to, to))
    for (let at = this.listed.to; at > to; at--) list.lastChild!.remove()
    this.listed = { of, from, to }
    const share = (100 / to).toPrecision(2)
    this.title.replaceChildren(
      element('i', {
        class: 'zsx-swatch',
        style: `background:${paint.of(hue(slot))}`,
      }),
      element('strong', {}, `Slot ${plainNumber(slot)} stands for ${plainNumber(to)} tokens`),
      `, ${share}% of it each, in order of arrival${from ? ` (the newest ${plainNumber(LISTED)})` : ''}:`,
    )
    if (!this.table.isConnected || this.node.firstChild !== this.title)
      this.node.replaceChildren(this.title, this.table)
  }
}

function rowOf(member: MemberLine, number: number): HTMLElement {
  return element(
    'tr',
    {},
    element('td', {}, plainNumber(number + 1)),
    element('td', {}, element('button', { class: 'zsx-member', 'data-position': member.position }, member.text)),
    element('td', {}, plainNumber(member.position)),
    element('td', {}, member.step === undefined ? 'first' : plainNumber(member.step)),
    element('td', {}, numberOr(member.score)),
    element('td', {}, numberOr(member.similarity)),
  )
}
