/** What is selected, in words: a token's story, or who is in a merged slot, in order of arrival. */
import { plainNumber, shortNumber } from '../../figures/scale.js'
import { RESIDUAL_HUES } from '../../figures/style.js'
import { memberLines, tokenLines, type MemberLine } from '../words.js'
import { element } from './dom.js'
import type { Chosen, View } from './view.js'

/** Members that are listed; the newest of more. */
const LISTED = 400

export class Detail {
  readonly node = element('section', { class: 'zsx-detail', 'aria-label': 'What is selected' })
  private drawn = ''

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
    if (members > 1) this.node.replaceChildren(...this.lineage(chosen, own))
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

  private lineage({ story, step }: Chosen, slot: number): Node[] {
    const { open, paint } = this.view
    const members = memberLines(story, step, slot, open.text)
    const shown = members.slice(-LISTED)
    const color = `background:${paint.of(`residual${slot % RESIDUAL_HUES}`)}`
    const row = (member: MemberLine, i: number) =>
      element(
        'tr',
        {},
        element('td', {}, plainNumber(members.length - shown.length + i + 1)),
        element('td', {}, element('button', { class: 'zsx-member', 'data-position': member.position }, member.text)),
        element('td', {}, plainNumber(member.position)),
        element('td', {}, member.step === undefined ? 'first' : plainNumber(member.step)),
        element('td', {}, numberOr(member.score)),
        element('td', {}, numberOr(member.similarity)),
      )
    const names = ['', 'token', 'at', 'step', 'score', 'similarity']
    const share = (100 / members.length).toPrecision(2)
    return [
      element(
        'div',
        { class: 'zsx-line' },
        element('i', { class: 'zsx-swatch', style: color }),
        element('strong', {}, `Slot ${plainNumber(slot)} stands for ${plainNumber(members.length)} tokens`),
        `, ${share}% of it each, in order of arrival${shown.length < members.length ? ` (the newest ${LISTED})` : ''}:`,
      ),
      element(
        'div',
        { class: 'zsx-lineage', tabindex: 0, role: 'region', 'aria-label': `Members of slot ${slot}` },
        element(
          'table',
          {},
          element('thead', {}, element('tr', {}, ...names.map((name) => element('th', { scope: 'col' }, name)))),
          element('tbody', {}, ...shown.map(row)),
        ),
      ),
    ]
  }
}

const numberOr = (value: number) => (Number.isNaN(value) ? '–' : shortNumber(value))
