/** What was recorded beside events, of which heads and steps; and the one sentence for what was not: what was, and how to record it. */
import { ZslabError } from '../errors.js'
import { integer } from '../expect.js'
import type { Policy } from '../policies/index.js'
import type { Kept, Level } from './level.js'
import { mergesOf, type Merges } from './shares.js'

/** Whose. */
export interface HeadOf {
  layer: number
  kvHead: number
}

export type RecordedKind = 'scores' | 'vectors'

export interface Recorded {
  level: Level
  layers: number
  kvHeads: number
  /** Steps whose scores were kept: every n-th. */
  every: number
  /** 1 where they were kept, [layers, kvHeads]; undefined: nowhere. */
  scores?: Uint8Array
  vectors?: Uint8Array
  /** Slots hold no token's own key and value, nor a mean of them: the policy alters what it keeps. */
  altered: boolean
  /** What a merge makes of two slots, where the policy says. */
  merges: Merges | undefined
}

export const recordedOf = (
  { level, every, scores, vectors }: Kept,
  { layers, kvHeads }: { layers: number; kvHeads: number },
  policy: Policy,
): Recorded => ({ level, layers, kvHeads, every, scores, vectors, altered: policy.alters, merges: mergesOf(policy) })

/** Heads that `marks` names, in order. */
export const headsOf = (marks: Uint8Array | undefined, kvHeads: number): HeadOf[] =>
  Array.from(marks?.keys() ?? [])
    .filter((i) => marks![i])
    .map((i) => ({ layer: Math.floor(i / kvHeads), kvHead: i % kvHeads }))

/** Whether that head's were kept. Errors: 'invalid' for a head that there is none of. */
export function isRecorded(kind: RecordedKind, { layer, kvHead }: HeadOf, recorded: Recorded): boolean {
  const at = integer('layer', layer, 0, recorded.layers - 1) * recorded.kvHeads
  return recorded[kind]?.[at + integer('kvHead', kvHead, 0, recorded.kvHeads - 1)] === 1
}

/** Errors: 'invalid' for a head that there is none of, and with what was recorded and how to where that was not. */
export function checkRecorded(kind: RecordedKind, of: HeadOf, recorded: Recorded): void {
  if (!isRecorded(kind, of, recorded)) throw notRecorded(kind, of, recorded)
}

/** That of a head, a layer's, a kv head's of all layers, or anything was not recorded. */
export function notRecorded(kind: RecordedKind, of: Partial<HeadOf>, recorded: Recorded): ZslabError {
  const { layer, kvHead } = of
  const named = [layer === undefined ? '' : `layer ${layer}`, kvHead === undefined ? '' : `kv head ${kvHead}`]
  const whose = named.filter((word) => word).join(', ') || 'any head'
  const chosen = [layer === undefined ? '' : `layers: [${layer}]`, kvHead === undefined ? '' : `kvHeads: [${kvHead}]`]
  const option = ["level: 'LEVEL'", ...chosen.filter((word) => word)].join(', ').replace('LEVEL', kind)
  return new ZslabError(
    'invalid',
    `the ${kind} of ${whose} were not kept (${wasKept(kind, recorded)}): make the session with trace: { ${option} }`,
  )
}

function wasKept(kind: RecordedKind, recorded: Recorded): string {
  const heads = headsOf(recorded[kind], recorded.kvHeads)
  if (!heads.length) return `trace was '${recorded.level}'`
  const some = heads.slice(0, 4).map(({ layer, kvHead }) => `layer ${layer}, kv head ${kvHead}`)
  return `kept: ${some.join('; ')}${heads.length > 4 ? ` and ${heads.length - 4} more` : ''}`
}
