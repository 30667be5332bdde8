/** The fonts that figures are set in: what they have, how wide it is, and how what none of them has is written. */
import { BOLD, MONO, SANS } from './advances.js'

/** Inter Regular, Inter Bold, Noto Sans Mono. */
export type Face = 'sans' | 'bold' | 'mono'

/** Advance by code point, em. */
type Advances = ReadonlyMap<number, number>

function measured(table: string): Advances {
  const advances = new Map<number, number>()
  for (const stretch of table.trim().replaceAll(',\n', ',').split(/\s+/)) {
    const [first, runs] = stretch.split(':')
    let code = parseInt(first, 16)
    for (const run of runs.split(',')) {
      const [advance, times = 1] = run.split('*').map(Number)
      for (let i = 0; i < times; i++) advances.set(code++, advance / 1000)
    }
  }
  return advances
}

const FACES: Record<Face, Advances> = { sans: measured(SANS), bold: measured(BOLD), mono: measured(MONO) }
/** Where a character is looked for, one face after another. */
const ORDER: Record<Face, readonly Face[]> = { sans: ['sans', 'mono'], bold: ['bold', 'mono'], mono: ['mono', 'sans'] }

export const faceOf = ({ bold, mono }: { bold?: boolean; mono?: boolean }): Face =>
  mono ? 'mono' : bold ? 'bold' : 'sans'

/** The first face that has the character. */
const holder = (character: string, face: Face) =>
  ORDER[face].find((one) => FACES[one].has(character.codePointAt(0) ?? 0))

/** Em; undefined for a character that no face has. */
export function advanceOf(character: string, face: Face): number | undefined {
  const from = holder(character, face)
  return from && FACES[from].get(character.codePointAt(0) ?? 0)
}

/** The characters of `text` that no face has, each once. */
export const lacking = (text: string): string[] => [
  ...new Set([...text].filter((character) => !holder(character, 'sans'))),
]

export const codeOf = (character: string) =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`

/** `text` in characters that the faces have: □U+XXXX where they lack one. */
export const spelt = (text: string) =>
  Array.from(text.normalize('NFC'), (character) =>
    holder(character, 'sans') ? character : `□${codeOf(character)}`,
  ).join('')

/** Pieces of spelt text, each in one face. */
export function faced(text: string, face: Face): { face: Face; text: string }[] {
  const found: { face: Face; text: string }[] = []
  for (const character of text) {
    const from = holder(character, face) ?? face
    const last = found[found.length - 1]
    if (last?.face === from) last.text += character
    else found.push({ face: from, text: character })
  }
  return found
}
