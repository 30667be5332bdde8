/** The local part of a shadow from what was recorded of a run, without its model: head by head, each in a full cache of its own. */
import { ZslabError } from '../errors.js'
import { createCache } from '../cache.js'
import type { Call } from '../native/call.js'
import { fullCache } from '../policies/index.js'
import type { EventColumns, NativeLocalMeasures } from '../native/binding.js'
import { ACTION } from '../trace/actions.js'
import type { PolicyCard } from '../trace/card.js'
import { EVENT_COLUMNS } from '../trace/columns.js'
import { rowsByHead } from '../trace/rebuild.js'
import { headsOf, isRecorded, notRecorded, type Recorded } from '../trace/recorded.js'
import { notQueried } from './head.js'
import { localOf, measuredOn, type LocalOf, type LocalShadow } from './local.js'
import { callStarts } from './reads.js'
import type { HeadOf, HeadVectors } from './vectors.js'

export interface RecordedRun {
  recorded: Recorded
  policy: PolicyCard
  events: EventColumns
  /** Tokens of each call. */
  calls: readonly number[]
  vectors(of: HeadOf): HeadVectors
}

const BY_ROW = ['error', 'dropped', 'plain', 'missed', 'blurred'] as const
const BY_LOSS = ['probability', 'worst', 'change', 'worstRow'] as const

/** Of all heads whose vectors were kept, NaN of the others; rows: tokens after the prompt that were fed one by one. */
export async function recordedShadow(run: RecordedRun, call: Call): Promise<LocalShadow> {
  const { recorded, events, calls, policy } = run
  const { layers, kvHeads } = recorded
  const kept = headsOf(recorded.vectors, kvHeads)
  if (!kept.length) throw notRecorded('vectors', {}, recorded)
  const positions = Int32Array.from(callStarts(calls).filter((_, i) => calls[i + 1] === 1))
  if (!positions.length)
    throw new ZslabError('invalid', 'no token was read by itself after the prompt: generate at least two')
  const { group } = run.vectors(kept[0])
  const heads = kvHeads * group
  const lost = lossesOf(events, recorded)
  const all = nothing(positions.length * layers * heads, lost)
  const byHead = rowsByHead(events, layers, kvHeads)
  const lossOf = new Map(Array.from(lost, (row, i) => [row, i]))
  for (const [done, { layer, kvHead }] of kept.entries()) {
    call.signal?.throwIfAborted()
    const rows = byHead[layer * kvHeads + kvHead]
    const own = eventsAlone(events, rows)
    const one = { shape: { layers: 1, heads: group, kvHeads: 1 }, policy, events: own, calls, positions }
    const measures = await ofHead(one, run.vectors({ layer, kvHead }), call)
    positions.forEach((_, row) => {
      const at = (row * layers + layer) * heads + kvHead * group
      for (const name of BY_ROW) all[name].set(measures[name].subarray(row * group, (row + 1) * group), at)
    })
    measures.lossRow.forEach((at, i) => {
      for (const name of BY_LOSS) all[name][lossOf.get(rows[at])!] = measures[name][i]
    })
    await call.progress?.({ done: done + 1, total: kept.length })
  }
  return localOf({ shape: { layers, heads, kvHeads }, policy, events, calls, positions }, all)
}

/** Rows of the events by which those heads that were recorded lose a token. */
function lossesOf({ action, layer, kvHead }: EventColumns, recorded: Recorded): Int32Array {
  const lost = (row: number) => action[row] === ACTION.merge || action[row] === ACTION.drop
  const rows = Int32Array.from(action.keys())
  return rows.filter((row) => lost(row) && isRecorded('vectors', { layer: layer[row], kvHead: kvHead[row] }, recorded))
}

function nothing(rows: number, lossRow: Int32Array): NativeLocalMeasures {
  const byRow = () => new Float64Array(rows).fill(NaN)
  const byLoss = () => new Float64Array(lossRow.length)
  return {
    ...{ error: byRow(), dropped: byRow(), plain: byRow(), missed: byRow(), blurred: byRow() },
    ...{ probability: byLoss(), worst: byLoss(), change: byLoss(), worstRow: new Int32Array(lossRow.length), lossRow },
  }
}

/** A head's events as those of a cache that has it alone. */
function eventsAlone(events: EventColumns, rows: Int32Array): EventColumns {
  const alone = { count: rows.length } as EventColumns
  for (const { name } of EVENT_COLUMNS) {
    const column = events[name].slice(0, rows.length)
    rows.forEach((row, i) => (column[i] = events[name][row]))
    Object.assign(alone, { [name]: column })
  }
  return Object.assign(alone, { layer: alone.layer.fill(0), kvHead: alone.kvHead.fill(0) })
}

async function ofHead(of: LocalOf, vectors: HeadVectors, call: Call): Promise<NativeLocalMeasures> {
  const { headDim, group, keys, values, firstQuery } = vectors
  const [prompt] = of.calls
  if (firstQuery > prompt) throw notQueried(vectors, prompt)
  const cache = createCache({ layers: 1, heads: group, kvHeads: 1, headDim, policy: fullCache() })
  try {
    // Nothing is measured of the prompt's own queries.
    const none = new Float32Array(group * prompt * headDim)
    const part = (rows: Float32Array) => rows.subarray(0, prompt * headDim)
    await cache.prefill(0, none, part(keys), part(values))
    return await measuredOn(cache.native, of, [givenOf(vectors, prompt)], { signal: call.signal })
  } finally {
    cache.dispose()
  }
}

/** What came after the prompt, as one call: of each token queries, key, value and outputs. */
function givenOf({ headDim, group, keys, values, ...of }: HeadVectors, prompt: number): Float32Array {
  const [one, each] = [headDim, group * headDim]
  const tokens = keys.length / headDim - prompt
  const given = new Float32Array(tokens * 2 * (each + one))
  for (let t = 0; t < tokens; t++) {
    const position = prompt + t
    const row = (rows: Float32Array, first: number, width: number) =>
      rows.subarray((position - first) * width, (position - first + 1) * width)
    const parts = [
      row(of.queries, of.firstQuery, each),
      row(keys, 0, one),
      row(values, 0, one),
      row(of.outputs, of.firstOutput, each),
    ]
    let at = t * 2 * (each + one)
    for (const part of parts) {
      given.set(part, at)
      at += part.length
    }
  }
  return given
}
