/** What a measure of heads is, and what those who compute measures (probes) are given and fill. */
import type { LoadedModel } from '../loaded-model.js'
import { native } from '../native/binding.js'
import { withCall, type Call } from '../native/call.js'
import type { Policy } from '../policies/index.js'
import type { NativeRead, NativeWatch } from '../native/heads.js'

export interface Measure {
  name: string
  /** A[t, s]: probability that the query of token t gives to s; T: tokens of the text. */
  formula: string
  unit: string
  least: number
  most: number
  source: string
  /** What public code does otherwise; empty: nothing that we know of. */
  differs: string
  /** How values of query heads become those of kv heads: largest or mean of the group; own: it is one of the kv head, repeated over its group. */
  kv: 'max' | 'mean' | 'own'
  /** A shorter text says nothing. */
  leastTokens: number
  /** An option without which there is nothing to measure. */
  needs?: 'policy'
  /** A longer text does not fit a context of so many tokens; default: as many. */
  mostTokens?: (context: number) => number
}

/** Of budget curves. */
export interface CurveShares {
  /** Kept shares of the prompt, below 1; ascending. */
  shares: readonly number[]
  /** Kept share of the heads that do not vary; 1: everything. */
  others: number
}

/** One text under one probe. */
export interface Work {
  model: LoadedModel
  ids: Int32Array
  /** [layers, heads], 1 = wanted. */
  marks: Uint8Array
  /** The probe's measures that are wanted, and of each its values [layers, heads]; NaN: not there yet. */
  values: Map<string, Float64Array>
  /** What else the probe finds in the text, with NaN for what is not there: its `more` says names and lengths. */
  more: Map<string, Float64Array>
  /** Tokens of a text that are read for ablations and gates, and how many of its last rows count. */
  tokens: number
  rows: number
  /** For measures that need one. */
  policy?: Policy
  curve: CurveShares
  /** Of what is drawn for this text. */
  seed: number
  /** progress counts layers of this work; `doing` says more. */
  call: Call
}

export interface Probe {
  name: string
  measures: readonly Measure[]
  /** Texts of its own: sequences of random ids, from these seeds, instead of the given ones. */
  random?: boolean
  /** Something is drawn for each text: the result says from which seeds. */
  seeded?: boolean
  /** Values come one by one and take long: a text can be gone on from in its middle. Others have all of a text at once. */
  stepwise?: boolean
  /** Beside values: lengths of what else it finds in a text, for what is made of it. */
  more?(work: Work): Record<string, number>
  /** Values from `more`, where they are of nothing else: they are not kept themselves. */
  derive?(work: Work): void
  /** What results depend on beside model and text, for those that are kept. */
  about?(work: Work): Record<string, unknown>
  /** Seconds of a layer of such work, about, from a little of it. */
  pace?(work: Work, call: Call): Promise<number>
  /** Refuses what it cannot measure under that policy, before anything is read. */
  check?(model: LoadedModel, policy: Policy, curve: CurveShares): void
  /** Layers that a work goes through; it has that many less to do where values are there already. */
  layers(work: Work): number
  run(work: Work): Promise<void>
  /** Over all its texts, where that is not the mean of theirs; throws a sentence where none says anything. */
  pooled?(works: readonly Work[]): Float64Array | undefined
}

export const headCount = ({ description }: LoadedModel): number => description.layers * description.heads

/** Rows of a text that are read one by one after the others as its prompt: those asked for, at most half of it. */
export const decodedRows = ({ length }: { length: number }, rows: number): number => Math.min(rows, length >> 1)

/** Heads that are wanted and have no value of `name` yet, as layer * heads + head. */
export function missingHeads({ marks, values }: Work, name: string): number[] {
  const found = values.get(name)
  return found ? Array.from(marks.keys()).filter((head) => marks[head] && Number.isNaN(found[head])) : []
}

/** Reads `ids` whole and fills `watch` for the wanted heads. Progress: the model's layers. */
export async function watched(
  { model, marks, call }: Pick<Work, 'model' | 'marks' | 'call'>,
  ids: Int32Array,
  watch: Omit<NativeWatch, 'heads'>,
  read: Partial<NativeRead> = {},
): Promise<void> {
  await withCall(call, (running) =>
    native().modelRead(
      model.native,
      { ids, rows: 1, changes: [], ...read, watch: { heads: marks, ...watch } },
      running,
    ),
  )
}

/** f(head, i) for the i-th wanted head. */
export function eachMarked(marks: Uint8Array, f: (head: number, i: number) => void): void {
  let i = 0
  marks.forEach((marked, head) => marked && f(head, i++))
}
