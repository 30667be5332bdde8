/** Which positions are meant: a range of them, or a piece of the text. */
import { shown, ZslabError } from '../errors.js'
import { integer, invalid, text } from '../expect.js'

export interface SpanOptions {
  /** First position (default 0) and the one after the last (default: all that were seen). */
  from?: number
  to?: number
  /** Instead of both: words that stand in the text once. Tokens that they share with other words belong to them. */
  text?: string
}

export interface Span {
  from: number
  /** Exclusive. */
  to: number
}

const MOST_NAMED = 5

/**
 * Positions among `texts`, a token each. Errors: 'invalid' for an empty range, one that ends beyond the tokens, words that are not in the
 * text or several times.
 */
export function spanOf(texts: readonly string[], given: SpanOptions): Span {
  if (given.text === undefined) {
    const from = integer('from', given.from ?? 0, 0, texts.length - 1)
    return { from, to: integer('to', given.to ?? texts.length, from + 1, texts.length) }
  }
  if (given.from !== undefined || given.to !== undefined)
    throw invalid('text', 'no text beside from and to', given.text, 'give either words or positions')
  const words = text('text', given.text)
  if (words === '') throw invalid('text', 'some words of the text', words)
  const places = placesOf(texts, words)
  const [place] = places
  if (places.length === 1) return place
  if (place) {
    const named = places.slice(0, MOST_NAMED).map(({ from }) => from)
    const more = places.length > MOST_NAMED ? ', …' : ''
    throw new ZslabError(
      'invalid',
      `${shown(words)} stands in the text ${places.length} times, at positions ${named.join(', ')}${more}: give more of the words around it, or from and to`,
    )
  }
  throw new ZslabError(
    'invalid',
    `${shown(words)} is not in the text of ${texts.length} tokens: expected words as they stand there, spaces and line ends included (characters that several tokens share are not found: give from and to)`,
  )
}

/** Every place of `words`, as the tokens that it touches. */
function placesOf(texts: readonly string[], words: string): Span[] {
  const whole = texts.join('')
  const starts = [0]
  for (const one of texts) starts.push(starts[starts.length - 1] + one.length)
  const places: Span[] = []
  let token = 0
  for (let at = whole.indexOf(words); at >= 0; at = whole.indexOf(words, at + 1)) {
    while (starts[token + 1] <= at) token++
    let to = token + 1
    while (starts[to] < at + words.length) to++
    places.push({ from: token, to })
  }
  return places
}
