/** ROUGE (Lin 2004) as PyPI's rouge-score has it: F measures of one text beside another. */
import { stem } from './stem.js'

export const ROUGES = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum'] as const
export type Rouge = (typeof ROUGES)[number]

/** From 0 to 1. `stemmed`: words of more than three letters count as their stems. Sentences of rougeLsum are lines. */
export function rouge(kind: Rouge, said: string, reference: string, stemmed: boolean): number {
  if (kind === 'rougeLsum') {
    const sentences = (text: string) => text.split('\n').map((line) => words(line, stemmed))
    return sentencesShared(sentences(said), sentences(reference))
  }
  const [own, other] = [words(said, stemmed), words(reference, stemmed)]
  if (kind === 'rougeL') return share(commonTable(other, own)[other.length][own.length], own.length, other.length)
  const n = kind === 'rouge1' ? 1 : 2
  return gramsShared(grams(own, n), grams(other, n))
}

/** Letters a to z and digits, in lower case. */
function words(text: string, stemmed: boolean): string[] {
  const found = text.toLowerCase().match(/[a-z0-9]+/g) ?? []
  return stemmed ? found.map((word) => (word.length > 3 ? stem(word) : word)).filter(Boolean) : found
}

/** F of what `of` and `from` have in common. */
function share(common: number, of: number, from: number): number {
  if (!common) return 0
  const [precision, recall] = [common / of, common / from]
  return (2 * precision * recall) / (precision + recall)
}

function counts<T>(values: Iterable<T>): Map<T, number> {
  const found = new Map<T, number>()
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1)
  return found
}

const grams = (of: readonly string[], n: number) =>
  Array.from({ length: Math.max(0, of.length - n + 1) }, (_, i) => of.slice(i, i + n).join(' '))

/** F of what two bags of words have in common. */
export function gramsShared(own: readonly string[], other: readonly string[]): number {
  const have = counts(own)
  let common = 0
  for (const [gram, count] of counts(other)) common += Math.min(count, have.get(gram) ?? 0)
  return share(common, own.length, other.length)
}

/** [i][j]: length of the longest common subsequence of the first i of a and the first j of b. */
function commonTable(a: readonly string[], b: readonly string[]): Uint32Array[] {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1))
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i][j] = a[i - 1] === b[j - 1] ? table[i - 1][j - 1] + 1 : Math.max(table[i - 1][j], table[i][j - 1])
  return table
}

/** Where in `a` a longest common subsequence stands; of several, the one that rouge-score finds. */
function commonAt(a: readonly string[], b: readonly string[]): number[] {
  const table = commonTable(a, b)
  const at: number[] = []
  for (let [i, j] = [a.length, b.length]; i > 0 && j > 0;) {
    if (a[i - 1] === b[j - 1]) {
      at.push(i - 1)
      i--
      j--
    } else if (table[i][j - 1] > table[i - 1][j]) j--
    else i--
  }
  return at
}

/** Each reference sentence with what it has in common with any sentence said; a word counts no more often than it was said. */
function sentencesShared(own: readonly string[][], other: readonly string[][]): number {
  const left = counts(own.flat())
  let common = 0
  for (const sentence of other)
    for (const at of new Set(own.flatMap((said) => commonAt(sentence, said)))) {
      const have = left.get(sentence[at]) ?? 0
      if (have) common++
      left.set(sentence[at], Math.max(0, have - 1))
    }
  return share(common, own.flat().length, other.flat().length)
}
