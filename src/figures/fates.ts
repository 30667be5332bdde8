/** What became of every token: for one kv head with steps from the events, or at the end from the slots' origins. */
import { ZslabError } from '../errors.js'
import { integer, invalid } from '../expect.js'
import { candidateAt, cameAt } from '../trace/candidates.js'
import { ACTION, type EventColumns, type RunData, type Sizes } from './data.js'
import { gapsOf, type Gap } from './gaps.js'
import { counted } from './scale.js'
import { labelsOf } from './words.js'

export type Fate = 'kept' | 'merged' | 'dropped'

/** Anything that figures can be drawn from: a run, or its data. */
export type RunLike = RunData | { data(): RunData }

export function runData(name: string, given: unknown): RunData {
  if (typeof given === 'object' && given !== null) {
    if ('data' in given && typeof given.data === 'function') return (given as { data(): RunData }).data()
    if ('origins' in given && 'tokens' in given && 'resolved' in given) return given as RunData
  }
  throw invalid(name, 'a run (from session.generate) or its data()', given)
}

/** One run or several, each with what to call it: the user's words, else policy and slots. */
export function labelledRuns(runs: RunLike | readonly RunLike[], labels: unknown): { label: string; data: RunData }[] {
  const all = ([runs].flat() as RunLike[]).map((run, i) => runData(`runs[${i}]`, run))
  if (!all.length) throw invalid('runs', 'at least one run', all)
  const own = all.map(({ policyName, resolved }) =>
    resolved.budget ? `${policyName}, ${counted(resolved.budget, 'slot')}` : policyName,
  )
  return labelsOf(labels, own).map((label, i) => ({ label, data: all[i] }))
}

export interface HeadChoice {
  layer?: number
  kvHead?: number
}

export function headOf(
  data: Pick<RunData, 'layers' | 'kvHeads'>,
  choice: HeadChoice,
): { layer: number; kvHead: number } {
  return {
    layer: integer('layer', choice.layer ?? data.layers >> 1, 0, data.layers - 1),
    kvHead: integer('kvHead', choice.kvHead ?? 0, 0, data.kvHeads - 1),
  }
}

/** One kv head at the run's end; arrays by position. */
export interface HeadFates {
  fate: Fate[]
  /** The slot that stands for the token; −1 dropped. */
  slot: Int32Array
}

/** kept: its slot stands for this token alone. merged: it shares one. */
export function fatesAtEnd(data: RunData, layer: number, kvHead: number): HeadFates {
  const slots = data.origins[layer].kvHeads[kvHead]
  const slot = new Int32Array(data.tokens.length).fill(-1)
  const fate = new Array<Fate>(data.tokens.length).fill('dropped')
  slots.forEach((members, at) => {
    for (let i = 0; i < members.length; i++) {
      slot[members[i]] = at
      fate[members[i]] = members.length > 1 ? 'merged' : 'kept'
    }
  })
  return { fate, slot }
}

/** Slots of one kv head by region: its own where heads differ. */
export const sizesOf = (data: RunData, layer: number, kvHead: number): Sizes =>
  data.resolved.heads?.[layer][kvHead] ?? data.resolved

/** One kv head over time; arrays by position. */
export interface HeadLives extends HeadFates {
  sizes: Sizes
  /** The step at which the token came: 0 for the prompt's. */
  entered: Int32Array
  /** The step at which it was merged or dropped; −1: it is still on its own. */
  left: Int32Array
  /** When tokens were gone that came back after all. */
  gaps: Gap[]
  /** Of the event that ended it; NaN where none did. */
  score: Float64Array
  similarity: Float64Array
}

export function eventsOf(data: RunData, figure: string): EventColumns {
  if (data.events) return data.events
  throw new ZslabError(
    'invalid',
    `${figure} shows what happened step by step, and this run kept no events: make the session with trace: true`,
  )
}

/** Rows of one kv head in order, or of all: `[layer * kvHeads + kvHead]`. */
export function rowsOf(events: EventColumns, layer: number, kvHead: number): number[] {
  const rows: number[] = []
  for (let row = 0; row < events.step.length; row++)
    if (events.layer[row] === layer && events.kvHead[row] === kvHead) rows.push(row)
  return rows
}

export function livesOf(
  data: RunData,
  events: EventColumns,
  layer: number,
  kvHead: number,
  rows: readonly number[] = rowsOf(events, layer, kvHead),
): HeadLives {
  const count = data.tokens.length
  const { fate, slot } = fatesAtEnd(data, layer, kvHead)
  const entered = Int32Array.from({ length: count }, (_, position) => stepOf(data, position))
  const left = new Int32Array(count).fill(-1)
  const score = new Float64Array(count).fill(NaN)
  const similarity = new Float64Array(count).fill(NaN)
  const firstMerge = new Map<number, number>()
  for (const row of rows) {
    const action = events.action[row]
    if (action !== ACTION.merge && action !== ACTION.drop) continue
    const [step, target, position] = [events.step[row], events.target[row], events.position[row]]
    if (action === ACTION.merge && !firstMerge.has(target)) firstMerge.set(target, step)
    left[position] = step
    score[position] = events.score[row]
    similarity[position] = events.similarity[row]
  }
  for (let position = 0; position < count; position++) {
    // A group of one at the prompt: it was put into a residual slot and is still alone there; or it came back.
    if (fate[position] === 'kept') left[position] = -1
    // The first member of a residual slot never moved: it stopped being alone when the second came.
    else if (left[position] < 0)
      left[position] = Math.max(entered[position], firstMerge.get(slot[position]) ?? entered[position])
  }
  const gaps = gapsOf(events, rows, data.promptTokens)
  return { fate, slot, sizes: sizesOf(data, layer, kvHead), entered, left, gaps, score, similarity }
}

/** The step at which the token at `position` came in. */
export const stepOf = (data: RunData, position: number) => cameAt(data.promptTokens, position)

/** The first step at which a token may leave: it is no longer among the newest. */
export function candidateFrom(data: RunData, position: number, { recent }: Sizes = data.resolved): number {
  return candidateAt(data.promptTokens, position, recent)
}

/** The first step at which anything can leave: 0 with the prompt, else when a token comes to a full cache; Infinity: never. */
export function firstCompression({ promptTokens, resolved }: RunData, { budget }: Sizes = resolved): number {
  if (budget === 0) return Infinity
  return promptTokens > budget ? 0 : budget - promptTokens + 1
}

export function byFate(fates: readonly Fate[]): Record<Fate, number> {
  const counts = { kept: 0, merged: 0, dropped: 0 }
  for (const fate of fates) counts[fate]++
  return counts
}
