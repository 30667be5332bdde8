/** Who is in a slot: its members in order of arrival, from the events alone. */
import { ZslabError } from '../errors.js'
import { ACTION } from './actions.js'
import type { EventColumns } from '../native/binding.js'
import { HeadLedger } from './rebuild.js'
import { seedAmong, sharesOf, type Arrival, type Merges } from './shares.js'

export interface Member {
  position: number
  /** At which it came into this slot; of the first, into the cache. */
  step: number
  /** At that moment; null where none was kept or measured, and of the first, which was merged into nothing. */
  similarity: number | null
  score: number | null
  /** Of the slot's key and value; null where the policy does not say what a merge makes of two slots. */
  keyShare: number | null
  valueShare: number | null
}

interface Merge {
  row: number
  members: readonly number[]
}

interface Walked {
  ledger: HeadLedger
  /** Rows by position. */
  admitted: Map<number, number>
  /** By the first member of the slot merged into, which a slot is known by. */
  merges: Map<number, Merge[]>
}

/** A head's events up to the end of `step`. */
function walked(events: EventColumns, rows: ArrayLike<number>, step: number): Walked {
  const ledger = new HeadLedger()
  const admitted = new Map<number, number>()
  const merges = new Map<number, Merge[]>()
  for (let i = 0; i < rows.length && events.step[rows[i]] <= step; i++) {
    const row = rows[i]
    const position = events.position[row]
    if (events.action[row] === ACTION.admit) admitted.set(position, row)
    if (events.action[row] === ACTION.merge) {
      const members = [...(ledger.originsOf(position) ?? [position])]
      const first = ledger.originsIn(events.target[row])?.[0]
      if (first !== undefined) {
        if (!merges.has(first)) merges.set(first, [])
        merges.get(first)!.push({ row, members })
      }
    }
    ledger.apply(events, row)
  }
  return { ledger, admitted, merges }
}

const arrivalOf = (
  { score, similarity, targetScore, targetWeight }: EventColumns,
  { row, members }: Merge,
): Arrival => ({
  tokens: members.length,
  score: score[row],
  similarity: similarity[row],
  targetScore: targetScore[row],
  targetWeight: targetWeight[row],
})

/** Positions whose key and value merged slots began with, by first member, where these are others. */
export function seedsOf(events: EventColumns, rows: ArrayLike<number>): Map<number, number> {
  const seeds = new Map<number, number>()
  for (const [first, into] of walked(events, rows, Infinity).merges) {
    const seed = seedAmong(into.map((merge) => arrivalOf(events, merge)))
    if (seed) seeds.set(first, into[seed - 1].members[0])
  }
  return seeds
}

/** What one slot's key and value are made of at the end of a step: shares of its members, which add up to 1. */
export interface Mixture {
  origins: readonly number[]
  keys: readonly number[]
  values: readonly number[]
}

/** Of all slots of a head at the end of `step`; undefined where one is merged and the policy does not say what a merge makes of two. */
export function mixturesAt(
  events: EventColumns,
  rows: ArrayLike<number>,
  step: number,
  how: Merges | undefined,
): Mixture[] | undefined {
  const { ledger, merges } = walked(events, rows, step)
  const slots = ledger.slots()
  if (!how && slots.some(({ origins }) => origins.length > 1)) return undefined
  return slots.map(({ origins }) => {
    if (origins.length === 1) return { origins, keys: [1], values: [1] }
    const arrivals = (merges.get(origins[0]) ?? []).map((merge) => arrivalOf(events, merge))
    return { origins, ...sharesOf(arrivals, how!) }
  })
}

/** Whose key and value a slot of these members began with; undefined: the first's. `seeds`: as of seedsOf(), which names a slot's first before others came, too. */
export const seedOf = (seeds: ReadonlyMap<number, number>, origins: readonly number[]): number | undefined =>
  origins.length > 1 ? seeds.get(origins[0]) : undefined

/** `rows`: those of the head in `events`, in order. Errors: 'invalid' for a slot that was not there at the end of `step`. */
export function membersAt(
  events: EventColumns,
  rows: ArrayLike<number>,
  step: number,
  slot: number,
  how: Merges | undefined,
): Member[] {
  const { ledger, admitted, merges } = walked(events, rows, step)
  const slots = ledger.slots()
  const held = slots[slot]
  if (!held)
    throw new ZslabError(
      'invalid',
      `there is no slot ${slot} at the end of step ${step}: this head had ${slots.length ? `slots 0 to ${slots.length - 1}` : 'none'} then`,
    )
  const [first] = held.origins
  const into = merges.get(first) ?? []
  const arrivals = into.map((merge) => arrivalOf(events, merge))
  const shares = how && sharesOf(arrivals, how)
  const known = (value: number) => (Number.isNaN(value) ? null : value)
  const came = new Map(into.flatMap(({ row, members }) => members.map((position) => [position, row] as const)))
  return held.origins.map((position, i) => {
    const row = came.get(position)
    return {
      position,
      step: events.step[row ?? admitted.get(position)!],
      similarity: row === undefined ? null : known(events.similarity[row]),
      score: row === undefined ? null : known(events.score[row]),
      keyShare: shares ? shares.keys[i] : null,
      valueShare: shares ? shares.values[i] : null,
    }
  })
}
