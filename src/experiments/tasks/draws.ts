/** What tasks draw that nobody can guess: words, numbers and identifiers, each once. */
import { bookChapters } from './texts.js'

export const SECRETS = ['word', 'number', 'uuid'] as const
export type Secret = (typeof SECRETS)[number]

let words: string[] | undefined

/** Words of Moby Dick of four to eight letters, the most frequent first: whoever speaks English has tokens for them. */
export function bookWords(): readonly string[] {
  if (words) return words
  const counts = new Map<string, number>()
  for (const { text } of bookChapters())
    for (const word of text.match(/(?<![\w’'-])[a-z]{4,8}(?![\w’'-])/g) ?? [])
      counts.set(word, (counts.get(word) ?? 0) + 1)
  const frequent = [...counts].filter(([, count]) => count >= 5).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return (words = frequent.map(([word]) => word))
}

/** Draws of one prompt: `draw` gives from 0 to 1. */
export class Draws {
  private readonly had = new Set<string>()

  constructor(readonly draw: () => number) {}

  below(count: number): number {
    return Math.floor(this.draw() * count)
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)]
  }

  /** Of `values` as many, in a drawn order. */
  some<T>(values: readonly T[], count: number): T[] {
    const left = [...values]
    return Array.from({ length: count }, () => left.splice(this.below(left.length), 1)[0])
  }

  /** What was not drawn here before; numbers have seven digits. */
  secret(kind: Secret): string {
    return this.once(() =>
      kind === 'word'
        ? this.word()
        : kind === 'number'
          ? String(1_000_000 + this.below(9_000_000))
          : this.filled('XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX', '0123456789abcdef'),
    )
  }

  /** Where many have been drawn, two together: of these there are millions. */
  private word(): string {
    const few = this.had.size < bookWords().length / 2
    return few ? this.of(bookWords()) : `${this.of(bookWords())}-${this.of(bookWords())}`
  }

  /** Capital letters, that were not drawn here before. */
  letters(count: number): string {
    return this.once(() => this.filled('X'.repeat(count), 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'))
  }

  private once(make: () => string): string {
    for (;;) {
      const found = make()
      if (this.had.has(found)) continue
      this.had.add(found)
      return found
    }
  }

  private filled(pattern: string, alphabet: string): string {
    return pattern.replace(/X/g, () => alphabet[this.below(alphabet.length)])
  }
}
