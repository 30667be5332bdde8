/** How wide text is, without a browser: in the fonts that files of figures bring with them. */
import { advanceOf, faceOf } from './fonts/faces.js'
import { MONO_ADVANCE } from './fonts/names.js'

/** East Asian and pictographic characters take a full em or more in whatever font has them. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f000}-\u{3fffd}]/u

export interface TextStyle {
  /** Pixels (96 to the inch). */
  size: number
  bold?: boolean
  mono?: boolean
}

function advance(character: string, { bold, mono }: TextStyle): number {
  if (mono) return WIDE.test(character) ? 2 * MONO_ADVANCE : MONO_ADVANCE
  return advanceOf(character, faceOf({ bold })) ?? (WIDE.test(character) ? 1.1 : 0.7)
}

/** Pixels that `text` takes on one line, before pairs of letters are moved together; of characters that the fonts lack a guess. */
export function textWidth(text: string, style: TextStyle): number {
  let em = 0
  for (const character of text) em += advance(character, style)
  return em * style.size
}

/** Columns of a monospaced font that `text` takes. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of text) columns += WIDE.test(character) ? 2 : 1
  return columns
}

/** Breaks `text` at spaces into lines of at most `width` pixels; a single longer word is cut. Never empty lines. */
export function wrapped(text: string, width: number, style: TextStyle): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').filter(Boolean)) {
    const longer = line ? `${line} ${word}` : word
    if (textWidth(longer, style) <= width) line = longer
    else {
      if (line) lines.push(line)
      line = shortened(word, width, style)
    }
  }
  return line ? [...lines, line] : lines
}

export const linesOf = (text: string) => text.split('\n')

/** Pixels of the widest line of `text`. */
export const linesWidth = (text: string, style: TextStyle) =>
  Math.max(...linesOf(text).map((line) => textWidth(line, style)))

/** `text` on one line, cut with an ellipsis where it is wider than `width` pixels. */
export function shortened(text: string, width: number, style: TextStyle): string {
  const line = linesOf(text).join(' ')
  if (textWidth(line, style) <= width) return line
  const characters = [...line]
  while (characters.length && textWidth(`${characters.join('')}…`, style) > width) characters.pop()
  return characters.length ? `${characters.join('').trimEnd()}…` : ''
}
