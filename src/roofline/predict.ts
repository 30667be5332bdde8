/** The prediction itself: a step of one cache on a cluster, the largest batch that memory allows, and from which context on compressing pays. */
import { compressedSlots, fullSlots, type Asked } from './asked.js'
import { holdsFrom } from './break-even.js'
import { PARTS, sequenceMemory, weightsMemory, type Part, type Slots, type StepShape } from './bytes.js'
import { partLimit, stepLimit, type Bound } from './limits.js'
import { exchangeOf } from './several.js'

export interface PredictedPart {
  part: Part | 'exchange'
  /** Moved by a device in a step; of 'exchange': sent to other devices. */
  bytes: number
  /** Of the least time of a step. */
  microseconds: number
  share: number
  bound: Bound | 'link'
}

export interface PredictedCache {
  /** Of each kv head, and how many of them are merged. */
  slots: number
  merged: number
  parts: PredictedPart[]
  /** Moved by a device in a step, exchange apart. */
  bytes: number
  /** The least that a step may take. */
  microseconds: number
  /** The most that all hosts together may decode. */
  tokensPerSecond: number
  /** Bytes in a device's memory: weights, each sequence's cache, and both for the batch. */
  memory: { weights: number; sequence: number; total: number }
  /** Sequences that memory has room for at most, on all hosts, and tokens a second with so many. */
  largestBatch: number
  tokensPerSecondAtLargest: number | null
  /** Tokens of the longest context that memory has room for at this batch, 0: none; null: any. */
  longest: number | null
}

const stepOf = ({ model, weights, storage, cluster: { devices } }: Asked, batch: number): StepShape => ({
  model,
  weights,
  storage,
  batch,
  devices,
})

/** Sequences of the host that has most. */
export const onHost = ({ cluster: { hosts } }: Asked, batch: number) => Math.ceil(batch / hosts)

/** What a device exchanges in a step. Merged slots never leave. */
export const exchangedOf = (asked: Asked, { over, slots, merged }: Slots, batch: number) =>
  exchangeOf(asked.model, onHost(asked, batch), asked.cluster, over ? slots - merged : 0)

/** The least time of a step, microseconds, of `batch` sequences on all hosts. */
export function stepTime(asked: Asked, of: Slots, batch = asked.batch): number {
  const own = onHost(asked, batch)
  const { microseconds } = stepLimit(stepOf(asked, own), of, asked.device)
  return microseconds + exchangedOf(asked, of, batch).microseconds
}

/** Of a cache that holds `slotsAt(context)`; null: no cache there. */
function longestOf(asked: Asked, slotsAt: (context: number) => Slots | null): number | null {
  const own = onHost(asked, asked.batch)
  const step = stepOf(asked, own)
  const room = asked.device.memory - weightsMemory(step)
  const beyond = holdsFrom((context) => {
    const slots = slotsAt(context)
    return slots !== null && own * sequenceMemory(step, slots) > room
  })
  return beyond === null ? null : beyond - 1
}

/** The cache that holds `slotsAt(context)`, at the context asked for. */
export function predictCache(asked: Asked, slotsAt: (context: number) => Slots | null): PredictedCache {
  const { batch, device, cluster, context } = asked
  const of = slotsAt(context)!
  const own = onHost(asked, batch)
  const step = stepOf(asked, own)
  const limit = stepLimit(step, of, device)
  const exchange = exchangedOf(asked, of, batch)
  const microseconds = limit.microseconds + exchange.microseconds
  const parts: PredictedPart[] = PARTS.map((part) => {
    const { microseconds: least, bound } = partLimit(limit, part)
    return { part, bytes: limit.bytes[part], microseconds: least, share: least / microseconds, bound }
  })
  if (exchange.count)
    parts.push({
      part: 'exchange',
      bytes: exchange.bytes,
      microseconds: exchange.microseconds,
      share: exchange.microseconds / microseconds,
      bound: 'link',
    })
  const [weights, sequence] = [weightsMemory(step), sequenceMemory(step, of)]
  const largestBatch = cluster.hosts * Math.max(0, Math.floor((device.memory - weights) / sequence))
  return {
    slots: of.slots,
    merged: of.merged,
    parts,
    bytes: limit.total,
    microseconds,
    tokensPerSecond: (1e6 * batch) / microseconds,
    memory: { weights, sequence, total: weights + own * sequence },
    largestBatch,
    tokensPerSecondAtLargest: largestBatch ? (1e6 * largestBatch) / stepTime(asked, of, largestBatch) : null,
    longest: longestOf(asked, slotsAt),
  }
}

/** What compressing makes of the step's limit: above 1 it is faster. */
export interface Ratios {
  /** Bytes of weights, keys and values alone, full over compressed: (W + KV) / (W + KV of the kept slots). */
  weightsAndCache: number
  /** Bytes of all that is moved. */
  bytes: number
  /** Least times, exchange included. */
  time: number
}

export function ratiosOf(full: PredictedCache, compressed: PredictedCache): Ratios {
  const cache = ({ parts }: PredictedCache) =>
    parts.reduce((sum, { part, bytes }) => sum + (['weights', 'keys', 'values'].includes(part) ? bytes : 0), 0)
  return {
    weightsAndCache: cache(full) / cache(compressed),
    bytes: full.bytes / compressed.bytes,
    time: full.microseconds / compressed.microseconds,
  }
}

/** Full over compressed at `context`, times with `latency` microseconds more in each layer; null: no budget that the policy takes. */
export function gainAt(asked: Asked, context: number, latency: number): number | null {
  const compressed = compressedSlots(asked, context)
  if (!compressed) return null
  return stepTime(asked, fullSlots(context)) / (stepTime(asked, compressed) + asked.model.layers * latency)
}

/** Faster than the full cache by these factors. */
export const GAINS = [1, 1.1, 1.5, 2] as const

export interface BreakEven {
  /** The full cache's least time over the compressed one's. */
  gain: number
  /** The least context from which on it is reached: by bytes (and operations) alone, and with upkeep's latency; null: never. */
  byBytes: number | null
  withLatency: number | null
}

export function breakEvenOf(asked: Asked): BreakEven[] {
  const from = (gain: number, latency: number) =>
    holdsFrom((context) => {
      const found = gainAt(asked, context, latency)
      return found !== null && found >= gain
    })
  return GAINS.map((gain) => ({ gain, byBytes: from(gain, 0), withLatency: from(gain, asked.latency) }))
}
