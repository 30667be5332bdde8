/** Members of residual slots at their places in the text: stretches that came when the slot was made, dots for what came later. */
import { noBoxes, addBox } from './marks.js'
import { memberWords } from './member-words.js'
import type { RunData } from './data.js'
import type { Member } from './members.js'
import type { Axis, Boxes, Points } from './plot.js'
import { counted } from './scale.js'
import type { Style } from './style.js'

/** Tokens that lie side by side, of positions `from` to `to` − 1. */
interface Stretch {
  from: number
  to: number
  tokens: number
}

export const madeBoxes = () => noBoxes('came when the slot was made', 'residual', { leastWidth: 1 })

/** One between the heights y0 and y1. */
export function addStretch(boxes: Boxes, { from, to, tokens }: Stretch, slot: number, y0: number, y1: number): void {
  const said = `${counted(tokens, 'token')} of positions ${from} to ${to - 1}, when it was made`
  addBox(boxes, [from, to, y0, y1], `residual slot ${slot}\n${said}`)
}

/** A dot for each member at the height y(member); smaller where they are `crowded`. */
export function laterDots(
  data: RunData,
  members: Member[],
  y: (member: Member) => number,
  crowded: boolean,
  style: Style,
): Points {
  return {
    kind: 'points',
    name: 'merged later',
    color: 'ink',
    shape: 'dot',
    x: members.map(({ position }) => position + 0.5),
    y: members.map(y),
    diameter: { talk: 7, wide: 4, text: 3.5, column: 3 }[style.size] * (crowded ? 0.6 : 1),
    hover: members.map((member) => memberWords(data, member)),
  }
}

export const textAxis = (data: RunData, style: Style): Axis => ({
  label: style.size === 'column' ? 'position' : 'position in the text, tokens',
  range: [0, data.tokens.length],
  whole: true,
})
