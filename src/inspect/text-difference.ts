/** Two texts token by token: where they part, and what either has that the other has not. */
import { diffArrays } from 'diff'
import type { RunOutput } from '../trace/data.js'

/** A stretch of tokens of the texts of a and b. */
export interface TextChange {
  in: 'both' | 'a' | 'b'
  /** Tokens, the first of them at `a` and `b` of the two texts. */
  tokens: number
  a: number
  b: number
  text: string
}

export const idsOf = (tokens: readonly { id: number }[]) => tokens.map(({ id }) => id)

/** Leading tokens that are the same. */
export function sharedLength(a: readonly number[], b: readonly number[]): number {
  const least = Math.min(a.length, b.length)
  let at = 0
  while (at < least && a[at] === b[at]) at++
  return at
}

/** Texts that are further apart than this many insertions and deletions are not aligned after their shared beginning. */
const MOST_EDITS = 2000

/** The fewest tokens to take out of `a` and to put in for `b` (Myers, Algorithmica 1, 1986), what is taken out first. */
export function textChanges(a: RunOutput, b: RunOutput): TextChange[] {
  const [ids, others] = [[...a.ids], [...b.ids]]
  const shared = sharedLength(ids, others)
  const changes = diffArrays(ids, others, { maxEditLength: MOST_EDITS }) ?? [
    { value: ids.slice(0, shared), added: false, removed: false },
    { value: ids.slice(shared), added: false, removed: true },
    { value: others.slice(shared), added: true, removed: false },
  ]
  const made: TextChange[] = []
  let [at, other] = [0, 0]
  for (const { value, added, removed } of changes) {
    const tokens = value.length
    if (!tokens) continue
    const text = added ? b.texts.slice(other, other + tokens) : a.texts.slice(at, at + tokens)
    made.push({ in: added ? 'b' : removed ? 'a' : 'both', tokens, a: at, b: other, text: text.join('') })
    if (!added) at += tokens
    if (!removed) other += tokens
  }
  return made
}
