/** Who is in a residual slot: its members in order of arrival. */
import { ZslabError } from '../errors.js'
import { ACTION, type EventColumns, type RunData } from './data.js'
import { firstCompression, rowsOf, sizesOf, stepOf } from './fates.js'

export interface Member {
  slot: number
  position: number
  /** The step at which it came into the slot. */
  step: number
  /** At that moment; NaN of the first, which was merged into nothing, and where none was kept or measured. */
  score: number
  similarity: number
  /** Tokens that the slot stands for from then on. */
  weight: number
}

/** Members of every residual slot of a kv head, in order of arrival: `[slot][]`. Errors: 'invalid' for a head without such slots. */
export function membersOf(data: RunData, events: EventColumns, layer: number, kvHead: number): Member[][] {
  const { kvHeads, residual } = data.origins[layer]
  const slots = Array.from(kvHeads[kvHead]).slice(0, residual[kvHead])
  if (!slots.length)
    throw new ZslabError(
      'invalid',
      `layer ${layer}, kv head ${kvHead} has no residual slot: ${data.policyName} ` +
        (firstCompression(data, sizesOf(data, layer, kvHead)) > data.steps
          ? 'never had more tokens than slots'
          : 'drops what leaves; zsmerge with residual > 0 merges it'),
    )
  const merges = new Map<number, number>()
  const rows = rowsOf(events, layer, kvHead).filter((row) => events.action[row] === ACTION.merge)
  for (const row of rows) merges.set(events.position[row], row)
  const made = Math.min(firstCompression(data, sizesOf(data, layer, kvHead)), data.steps)
  return slots.map((positions, slot) =>
    Array.from(positions, (position) => ({ position, row: merges.get(position) ?? -1 }))
      .sort((a, b) => a.row - b.row || a.position - b.position)
      .map(({ position, row }, i) => ({
        slot,
        position,
        step: row < 0 ? Math.max(made, stepOf(data, position)) : events.step[row],
        score: row < 0 ? NaN : events.score[row],
        similarity: row < 0 ? NaN : events.similarity[row],
        weight: i + 1,
      })),
  )
}

/** The first step after that at which the slots were made: what comes from then on came while decoding. */
export const laterThan = (data: RunData, layer: number, kvHead: number) =>
  Math.min(firstCompression(data, sizesOf(data, layer, kvHead)), data.steps)

export function memberColumns(data: RunData, members: Member[]) {
  const known = (value: number) => (Number.isNaN(value) ? null : value)
  return {
    slot: members.map(({ slot }) => slot),
    position: members.map(({ position }) => position),
    token: members.map(({ position }) => data.tokens[position].text),
    prompt: members.map(({ position }) => data.tokens[position].prompt),
    step: members.map(({ step }) => step),
    score: members.map(({ score }) => known(score)),
    similarity: members.map(({ similarity }) => known(similarity)),
    weight: members.map(({ weight }) => weight),
  }
}

/** Neighbours in the text as stretches [from, to), those at most `gap` apart together. */
export function stretches(positions: number[], gap: number): { from: number; to: number; tokens: number }[] {
  const parts: { from: number; to: number; tokens: number }[] = []
  for (const position of [...positions].sort((a, b) => a - b)) {
    const last = parts[parts.length - 1]
    if (last && position - last.to <= gap) {
      last.to = position + 1
      last.tokens++
    } else parts.push({ from: position, to: position + 1, tokens: 1 })
  }
  return parts
}
