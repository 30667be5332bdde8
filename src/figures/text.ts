/** How wide text is, without a browser: Helvetica's advance widths, with room for the wider fonts that may stand in for it. */

export const SANS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
export const MONO = "'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, 'Courier New', monospace"
/** Advance of every character of a monospaced font, em; the usual ones have 0.55 to 0.602. */
export const MONO_ADVANCE = 0.602

/** Thousandths of an em from U+0020 to U+007E. */
const ADVANCES = [
  278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556,
  556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833,
  722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556,
  556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334,
  260, 334, 584,
]
/** DejaVu Sans, the widest stand-in, is wider than Helvetica by ROOM over a sentence, and its bold by BOLD again. */
const BOLD = 1.13
const ROOM = 1.13

/** East Asian and pictographic characters take a full em or more in whatever font has them. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f000}-\u{3fffd}]/u

export interface TextStyle {
  /** Pixels (96 to the inch). */
  size: number
  bold?: boolean
  mono?: boolean
}

function advance(character: string, mono: boolean): number {
  if (WIDE.test(character)) return mono ? 2 * MONO_ADVANCE : 1.1
  if (mono) return MONO_ADVANCE
  if (character === '−') return 0.75
  return (ADVANCES[character.charCodeAt(0) - 32] ?? 620) / 1000
}

/** Pixels that `text` takes on one line in the widest of the fonts named above. */
export function textWidth(text: string, style: TextStyle): number {
  let em = 0
  for (const character of text) em += advance(character, style.mono ?? false)
  return em * style.size * (style.mono ? 1 : ROOM * (style.bold ? BOLD : 1))
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

/** `text`, cut with an ellipsis where it is wider than `width` pixels. */
export function shortened(text: string, width: number, style: TextStyle): string {
  if (textWidth(text, style) <= width) return text
  const characters = [...text]
  while (characters.length && textWidth(`${characters.join('')}…`, style) > width) characters.pop()
  return characters.length ? `${characters.join('').trimEnd()}…` : ''
}
