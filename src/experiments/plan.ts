/** What a study will take, and what is to be known of it, before it runs. */
import { leastHolmP } from '../statistics/holm.js'
import { exploredOf } from './confirm.js'
import type { Halving } from './designs.js'
import { halvingNote } from './halving.js'

export interface Plan {
  settings: number
  prompts: number
  clusters: number
  /** All that the design has, at most where it drops settings, and those of them that are done. Settings that come to the same policy share their trials. */
  trials: number
  done: number
  /** Of what is missing: tokens read as prompts, and tokens that go through the model one by one, the full cache's included. */
  tokens: { read: number; steps: number }
  /** That it takes at most, as fast as the model has just read 264 tokens. */
  seconds: number
  /** That the store will have, about. */
  bytes: number
  /** What is to be known first. */
  notes: string[]
}

interface Studied {
  facts: { split: number | null }
  /** Effects that are to be told. */
  comparisons: number
  /** Why not all that would be wanted. */
  without: string | null
  halving: Halving | undefined
}

export function planNotes(
  { facts: { split }, comparisons, without, halving }: Studied,
  settings: number,
  clusters: readonly string[],
  faults: readonly { path: string; why: string }[],
): string[] {
  const explored = split === null ? clusters.length : exploredOf(clusters, split).size
  const confirming = clusters.length - explored
  const halves = split === null ? [explored] : halving ? [confirming] : [explored, confirming]
  const blind = halves.filter((count) => comparisons && leastHolmP(count, comparisons) > 0.05)
  const what = halving
    ? 'that what halving leaves is better'
    : comparisons === 1
      ? 'the one effect'
      : `any of ${comparisons} effects and interactions`
  return [
    ...blind.map(
      (count) =>
        `${count} cluster${count === 1 ? '' : 's'} cannot show ${what}: the least p after Holm is ${leastHolmP(count, comparisons).toPrecision(2)}; take more clusters${halving ? '' : ', or fewer dimensions'}`,
    ),
    ...(halving ? [halvingNote(settings, explored, halving)] : []),
    ...(without === null ? [] : [without]),
    ...faults.map(({ path, why }) => `${path} is broken (${why}): what is missing is done again`),
  ]
}
