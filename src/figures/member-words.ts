/** Members' words as boxes on lines, like the token strip's. */
import type { RunData } from './data.js'
import { visible } from './visible.js'
import { addBox, noBoxes } from './marks.js'
import type { Member } from './members.js'
import type { Boxes, Labels } from './plot.js'
import { tokenText } from './spelt.js'
import type { Fill, Style } from './style.js'
import { columnsOf } from './text.js'

export interface Words {
  boxes: Boxes
  labels: Labels
}

export const noWords = (): Words => ({
  boxes: noBoxes('members', 'held'),
  labels: { kind: 'labels', x: [], y: [], text: [], color: 'ink', colors: [], anchor: 'start', mono: true },
})

/**
 * Puts tokens of `members` on a line of `columns` letters, from column `from` on: as many of the first and the newest as fit, about as
 * many letters of both. Returns how many are spelt out.
 */
export function spell(
  data: RunData,
  members: Member[],
  words: Words,
  line: number,
  from: number,
  columns: number,
  fill: Fill,
  style: Style,
): number {
  const text = ({ position }: Member) => {
    const shown = [...tokenText(data.tokens[position].text, style)]
    return shown.length > 24 ? `${shown.slice(0, 23).join('')}…` : shown.join('')
  }
  const room = columns - from
  const widths = members.map((member) => columnsOf(text(member)))
  const all = widths.reduce((sum, width) => sum + width, 0)
  const gap = ' … '
  let [first, last] = [0, members.length]
  if (all > room) {
    let used = gap.length
    const fits = (width: number, most: number) => used + width <= most && Boolean((used += width))
    const most = gap.length + (room - gap.length) / 2
    while (first < members.length && fits(widths[first], most)) first++
    while (last > first && fits(widths[last - 1], room)) last--
  }
  let x = from
  const put = (member: Member, width: number) => {
    const { boxes, labels } = words
    addBox(boxes, [x + 0.04, x + width - 0.04, line + 0.06, line + 0.94], memberWords(data, member), fill)
    labels.x.push(x)
    labels.y.push(line + 0.5)
    labels.text.push(text(member))
    labels.colors!.push(`on:${fill}`)
    x += width
  }
  const shown = all > room ? first : members.length
  for (let i = 0; i < shown; i++) put(members[i], widths[i])
  if (all <= room) return members.length
  words.labels.x.push(x)
  words.labels.y.push(line + 0.5)
  words.labels.text.push(gap)
  words.labels.colors!.push('muted')
  x += gap.length
  for (let i = last; i < members.length; i++) put(members[i], widths[i])
  return first + members.length - last
}

/** For whoever points at it. */
export function memberWords(data: RunData, { position, step, slot, score, similarity, weight }: Member): string {
  const known = (name: string, value: number) => (Number.isNaN(value) ? '' : `, ${name} ${value.toPrecision(3)}`)
  const came = weight === 1 ? 'the first' : `number ${weight}`
  return `“${visible(data.tokens[position].text)}” at ${position}\n${came} in residual slot ${slot}, at step ${step}${known('score', score)}${known('similarity', similarity)}`
}
