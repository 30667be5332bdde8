/**
 * Several devices and hosts (docs/several-gpus.md): the kv heads of a layer are shared out among a host's devices, sequences among hosts. What
 * devices exchange in a step, and the least that takes.
 */
import { EXCHANGE_BASE, LINK, type Link, type LinkName, type NetworkName } from './links.js'
import type { ModelShape } from './shapes.js'

/**
 * reduce: each device multiplies by its rows of the output and down projections, partial sums are added over devices; bits depend on how many
 * there are. gather: each has whole rows of results, so that every sum is made on one device as it is on a single one.
 */
export const EXCHANGES = ['reduce', 'gather'] as const
export type ExchangeKind = (typeof EXCHANGES)[number]

/** Who chooses who stays, as of zsmerge(): heads that choose together need the sum of their scores. */
export const GRANULARITIES = ['head', 'layer', 'model'] as const
export type Granularity = (typeof GRANULARITIES)[number]

export interface Cluster {
  /** Of a host; they share heads. */
  devices: number
  /** They share sequences. */
  hosts: number
  link: LinkName
  network: NetworkName
  exchange: ExchangeKind
  granularity: Granularity
}

export type Algorithm = 'one-shot' | 'two-shot' | 'hand-over'

export interface Exchange {
  /** What a device sends. */
  bytes: number
  microseconds: number
  algorithm: Algorithm
}

const FLOAT = 4

const least = (ways: readonly Exchange[]): Exchange =>
  ways.reduce((best, one) => (one.microseconds < best.microseconds ? one : best))

function way(algorithm: Algorithm, bytes: number, hops: number, { bandwidth, hop }: Link): Exchange {
  return { algorithm, bytes, microseconds: EXCHANGE_BASE + hops * hop + (1e6 * bytes) / bandwidth }
}

/**
 * `bytes` on each of `devices` → their sum on each. One-shot: each sends all it has to all others. Two-shot: each sends everyone the share that they
 * add up, and everyone sends their sums. Both add in the order of devices, so that their bits are the same; those of a ring would not be, whose
 * shares begin at different devices.
 */
export function allReduce(bytes: number, devices: number, link: Link): Exchange {
  const others = devices - 1
  return least([way('one-shot', others * bytes, 1, link), way('two-shot', (2 * others * bytes) / devices, 2, link)])
}

/** `bytes` of which each of `devices` has a share → all of it on each. Sent straight to all others, nothing goes twice. */
export const allGather = (bytes: number, devices: number, link: Link): Exchange =>
  way('one-shot', ((devices - 1) * bytes) / devices, 1, link)

/**
 * Scores of `slots` slots of every head of a layer, or of the model → their sum in the order of layers and heads, as one device makes it, and who
 * leaves. Either every device gets all scores, or a running sum is handed from device to device and the last tells who it is.
 */
export function sumScores(
  model: ModelShape,
  batch: number,
  slots: number,
  { devices, link, granularity }: Cluster,
): Exchange {
  const over = LINK[link]
  const layers = granularity === 'model' ? model.layers : 1
  const sum = FLOAT * batch * slots
  const hops = layers * devices - 1
  const told = way('one-shot', (devices - 1) * FLOAT * batch, 1, over)
  const handed = EXCHANGE_BASE + hops * (over.hop + (1e6 * sum) / over.bandwidth)
  return least([
    allGather(layers * model.kvHeads * sum, devices, over),
    { algorithm: 'hand-over', bytes: layers * sum + told.bytes, microseconds: handed + told.microseconds },
  ])
}

/** Of a step of `batch` sequences on the devices of one host; `chosen`: slots of each kv head among which one has to leave. */
export function exchangeOf(model: ModelShape, batch: number, cluster: Cluster, chosen: number) {
  const { devices, link, exchange, granularity } = cluster
  if (devices === 1) return { count: 0, bytes: 0, microseconds: 0 }
  const floats = (count: number) => FLOAT * batch * count
  const over = LINK[link]
  const { layers, hidden, heads, headDim, feedForward, vocabulary } = model
  const inLayer =
    exchange === 'reduce'
      ? [hidden, hidden].map((count) => allReduce(floats(count), devices, over))
      : [heads * headDim, hidden, feedForward, hidden].map((count) => allGather(floats(count), devices, over))
  const atEnd = [allGather(floats(vocabulary), devices, over)]
  if (chosen && granularity !== 'head')
    (granularity === 'layer' ? inLayer : atEnd).push(sumScores(model, batch, chosen, cluster))
  const sum = (of: 'bytes' | 'microseconds') =>
    layers * inLayer.reduce((all, one) => all + one[of], 0) + atEnd.reduce((all, one) => all + one[of], 0)
  return {
    count: layers * inLayer.length + atEnd.length,
    bytes: sum('bytes'),
    microseconds: sum('microseconds'),
  }
}

/** Numbers of devices up to `most` among which the heads of a model can be shared out. */
export const splitsOf = ({ kvHeads }: Pick<ModelShape, 'kvHeads'>, most = kvHeads): number[] =>
  Array.from({ length: Math.min(kvHeads, most) }, (_, i) => i + 1).filter((devices) => kvHeads % devices === 0)
