/** Where two texts part: the last words that both have, then either's own, the first of them marked. */
import type { Difference } from '../inspect/difference.js'
import { tokenText } from './spelt.js'
import { addBox, noBoxes, noWords } from './marks.js'
import type { Labels, Panel } from './plot.js'
import { plainNumber } from './scale.js'
import { charWidth, type Fill, type Style } from './style.js'
import { columnsOf } from './text.js'

const LINE = 1.55
/** Of the line, for what both have. */
const LEAD = 0.4
const LONGEST = 24

/** A line for each text, `width` pixels long, and the pixels that both lines take; undefined where they do not part. */
export function partingPanel(
  { written, firstDifference: at, tokens }: Difference,
  width: number,
  style: Style,
): { panel: Panel; height: number } | undefined {
  if (at === null) return undefined
  const columns = Math.floor(width / charWidth(style))
  const before = [...tokens.filter(({ prompt }) => prompt).map(({ text }) => text), ...written[0].texts.slice(0, at)]
  const lead = fitted([...before].reverse(), (columns - 2) * LEAD, style).reverse()
  const boxes = noBoxes('the first that differs', 'held')
  const labels = noWords()
  written.forEach(({ texts, logprobs }, line) => {
    let x = 0
    const put = (text: string, color: NonNullable<Labels['colors']>[number]) => {
      labels.x.push(x)
      labels.y.push(line + 0.5)
      labels.text.push(text)
      labels.colors.push(color)
      x += columnsOf(text)
    }
    put('ab'[line], 'ink')
    x++
    if (lead.length) put(lead.join(''), 'muted')
    const [first, ...rest] = fitted(texts.slice(at), columns - x, style)
    if (first === undefined) return put('⏹', 'muted')
    const fill: Fill = line ? 'flip' : 'calm'
    const said = `probability ${Math.exp(logprobs[at]).toPrecision(3)}`
    addBox(boxes, [x + 0.04, x + columnsOf(first) - 0.04, line + 0.06, line + 0.94], said, fill)
    put(first, `on:${fill}`)
    if (rest.length) put(rest.join(''), 'ink')
  })
  const panel: Panel = {
    title: `the texts part at generated token ${plainNumber(at + 1)}`,
    share: 1,
    x: { range: [0, columns], ticks: 'none' },
    y: { range: [written.length, 0], ticks: 'none' },
    marks: [boxes, labels],
  }
  return { panel, height: written.length * style.mono * LINE }
}

/** The first of `texts`, as they can stand on a line, that fit into `columns` letters together. */
function fitted(texts: readonly string[], columns: number, style: Style): string[] {
  const shown: string[] = []
  for (const text of texts) {
    const letters = [...tokenText(text, style)]
    const word = letters.length > LONGEST ? `${letters.slice(0, LONGEST - 1).join('')}…` : letters.join('')
    columns -= columnsOf(word)
    if (columns < 0) break
    shown.push(word)
  }
  return shown
}
