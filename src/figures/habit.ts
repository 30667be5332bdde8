/** What a head does as a rule, in a few words, from its measures. */

interface Habit {
  word: string
  /** Of which measure, and from which value on. */
  measure: string
  from: number
}

/**
 * Each word with what earns it. Of retrieval 0.1 is the published border of a retrieval head (Wu et al. 2024); the others are half of what
 * there is, or a third where only some rows can have it.
 */
export const HABITS: readonly Habit[] = [
  { word: 'sink', measure: 'sinkMass', from: 0.5 },
  { word: 'local', measure: 'locality', from: 0.5 },
  { word: 'previous', measure: 'previous', from: 1 / 3 },
  { word: 'induction', measure: 'inductionNext', from: 1 / 3 },
  { word: 'echo', measure: 'echo', from: 1 / 3 },
  { word: 'retrieval', measure: 'retrieval', from: 0.1 },
]

/** Words of a head, the strongest first; empty: none of them. `value`: of a measure; NaN or undefined: not measured. */
export function habitOf(value: (measure: string) => number | undefined): string[] {
  return HABITS.flatMap(({ word, measure, from }) => {
    const found = value(measure) ?? NaN
    return found >= from ? [{ word, strength: found / from }] : []
  })
    .toSorted((a, b) => b.strength - a.strength)
    .map(({ word }) => word)
}
