/** Long texts with something hidden in them. */
import type { LoadedModel } from '../../loaded-model.js'
import { bookChapters } from './texts.js'

/** What stands around: sentences of Moby Dick, or a few that say nothing, again and again. */
export const FILLERS = ['book', 'noise'] as const
export type Filler = (typeof FILLERS)[number]

export interface Needle {
  text: string
  /** Of the tokens around: 0 before all of them, 1 after. */
  depth: number
}

/** The i-th piece of what stands around, without an end. */
export type Pieces = (i: number) => string

let sentences: string[] | undefined

/** Of all chapters, each on one line. */
const book = (): string[] =>
  (sentences ??= bookChapters()
    .flatMap(({ text }) => text.replace(/\s+/g, ' ').match(/[^.!?]+[.!?]+/g) ?? [])
    .map((one) => one.trim()))

const NOISE = [
  'Rain falls on the roof.',
  'A clock ticks in the hall.',
  'The road goes on and on.',
  'Somebody closes a door.',
  'Then it is quiet again.',
]

/** From `place` (0 to 1) of the book on. */
export function filled(by: Filler, place: number): Pieces {
  if (by === 'noise') return (i) => NOISE[i % NOISE.length]
  const all = book()
  const first = Math.floor(place * all.length)
  return (i) => all[(first + i) % all.length]
}

/** Needles at their depths of pieces that fill `length` tokens with them, at least one of these; `between` any two. */
export function hidden(
  model: LoadedModel,
  needles: readonly Needle[],
  length: number,
  pieces: Pieces,
  between = ' ',
): string {
  const count = (text: string) => model.tokenizer.encode(between + text, { special: false }).length
  const taken: string[] = []
  /** Tokens of the pieces before each, and of all. */
  const before = [0]
  const room = length - needles.reduce((sum, { text }) => sum + count(text), 0)
  for (;;) {
    const piece = pieces(taken.length)
    const tokens = before[taken.length] + count(piece)
    if (tokens > room && taken.length) break
    taken.push(piece)
    before.push(tokens)
  }
  const all = before[taken.length]
  const at = ({ depth }: Needle) => before.findIndex((tokens) => tokens >= depth * all - 1e-9)
  const placed = needles.map((needle) => ({ text: needle.text, at: at(needle) }))
  return [...taken, '']
    .flatMap((piece, i) => [...placed.filter((one) => one.at === i).map(({ text }) => text), ...(piece ? [piece] : [])])
    .join(between)
}
