/** What roofline() predicts, in words and a table. */
import { counted, headsText, sizeText, type Shape } from './texts.js'

interface CacheFacts {
  slots: number
  merged: number
  parts: readonly { part: string; bytes: number; microseconds: number; share: number; bound: string }[]
  bytes: number
  microseconds: number
  tokensPerSecond: number
  memory: { weights: number; sequence: number; total: number }
  largestBatch: number
  tokensPerSecondAtLargest: number | null
  longest: number | null
}

interface ScaledFacts {
  tokensPerSecond: number
  exchanges: number
  exchangeBytes: number
  exchangeShare: number
  largestBatch: number
}

interface RooflineFacts {
  label: string
  facts: {
    model: Shape & { name: string; parameters: number; context: number }
    context: number
    batch: number
    weights: string
    storage: string
    device: { name: string; bandwidth: number; bandwidthFrom: string; memory: number; tensor: number; float32: number }
    cluster: { devices: number; hosts: number; link: string; network: string; exchange: string }
    latency: number
  }
  full: CacheFacts
  compressed: CacheFacts
  ratios: { weightsAndCache: number; bytes: number; time: number }
  breakEven: readonly { gain: number; byBytes: number | null; withLatency: number | null }[]
  scaling?: readonly {
    devices: number
    batchOnHost: number
    full: ScaledFacts
    compressed: ScaledFacts
  }[]
  moving?: { full: number; compressed: number; weights: number }
}

const FROM: Readonly<Record<string, string>> = {
  measured: 'a copy as measured, docs/cuda.md',
  datasheet: 'datasheet',
  given: 'as given',
}
/** What each part of a step is; the table's names are short. */
const MEANING: Readonly<Record<string, string>> = {
  weights: 'matrices, norms, a row of the embedding for each token',
  keys: 'read',
  values: 'read',
  exponentials: 'written by decoding',
  partials: 'queries in, what chunks of 256 slots give, put together',
  append: 'the new token',
  scores: 'exponentials read, scores read and written',
  leaving: 'merged keys read, who leaves and whom it joins, what moves up',
  exchange: 'sent to the other devices',
}

const tokens = (count: number) => `${counted(count)} ${count === 1 ? 'token' : 'tokens'}`
const figure = (value: number) => (value < 100 ? value.toPrecision(3) : counted(Math.round(value)))
const times = (value: number) => `${figure(value)} ×`
const percent = (share: number) => `${(100 * share).toFixed(1)}%`
const rate = (bytes: number) => (bytes >= 1e12 ? `${(bytes / 1e12).toFixed(2)} TB/s` : `${figure(bytes / 1e9)} GB/s`)
const time = (microseconds: number) =>
  microseconds < 1000
    ? `${figure(microseconds)} µs`
    : microseconds < 1e6
      ? `${figure(microseconds / 1000)} ms`
      : `${figure(microseconds / 1e6)} s`
const several = (count: number, one: string) => `${counted(count)} ${one}${count === 1 ? '' : 's'}`

/** Cells under each other; the first column to the left, the others to the right, the last as it is. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => (row[at] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : at < 5 ? cell.padStart(widths[at]) : cell))
      .join('  ')
      .trimEnd(),
  )
}

export function rooflineText(of: RooflineFacts): string {
  const { facts, full, compressed, ratios, label } = of
  const { model, device, cluster } = facts
  const beyond =
    facts.context > model.context ? [`  beyond the ${tokens(model.context)} it was trained for: shapes alone`] : []
  return [
    `Roofline of ${model.name}, ${tokens(facts.context)}, batch ${counted(facts.batch)}, on ${placeText(of)}: ${label}`,
    `  ${headsText(model)}; ${counted(model.parameters)} parameters; weights ${facts.weights}, cache ${facts.storage}`,
    ...beyond,
    `  ${device.name}: ${rate(device.bandwidth)} (${FROM[device.bandwidthFrom]}), ${sizeText(device.memory)}; ${figure(device.tensor / 1e12)} TFLOP/s on tensor cores, ${figure(device.float32 / 1e12)} in float32 (datasheet)`,
    `  compressed: ${counted(compressed.slots)} slots per kv head (${percent(compressed.slots / facts.context)} of the context), ${counted(compressed.merged)} of them merged`,
    '',
    ...columns(partRows(full, compressed)),
    '',
    ...columns(limitRows(of)),
    '',
    `Full over compressed: ${times(ratios.weightsAndCache)} in bytes of weights, keys and values alone; ${times(ratios.bytes)} in all bytes; ${times(ratios.time)} in the least time of a step`,
    ...breakEvenLines(of),
    ...(of.scaling ? ['', ...scalingLines(of, of.scaling)] : []),
    ...fitLines(of, cluster.hosts),
    '',
    'Not counted: launches, activations between kernels, bandwidth that a launch does not reach; origins and room to spare in memory.',
  ].join('\n')
}

const placeText = ({ facts: { device, cluster } }: RooflineFacts) =>
  cluster.devices === 1 && cluster.hosts === 1
    ? device.name
    : `${several(cluster.hosts, 'host')} of ${counted(cluster.devices)} ${device.name}`

function partRows(full: CacheFacts, compressed: CacheFacts): string[][] {
  const cells = ({ bytes, share }: { bytes: number; share: number }) => [sizeText(Math.round(bytes)), percent(share)]
  return [
    ['a step, by a device', 'full cache', 'of time', 'compressed', 'of time', ''],
    ...full.parts.map((one, i) => {
      const other = compressed.parts[i]
      const bound = [one, other].some(({ bound }) => bound === 'arithmetic') ? '; bound by arithmetic' : ''
      return [one.part, ...cells(one), ...cells(other), MEANING[one.part] + bound]
    }),
    ['all', ...cells({ bytes: full.bytes, share: 1 }), ...cells({ bytes: compressed.bytes, share: 1 }), ''],
  ]
}

function limitRows({ full, compressed, facts }: RooflineFacts): string[][] {
  const both = (name: string, of: (cache: CacheFacts) => string) => [name, of(full), of(compressed)]
  return [
    ['limits', 'full cache', 'compressed'],
    both('a step, at least', ({ microseconds }) => time(microseconds)),
    both('tokens/s, at most', ({ tokensPerSecond }) => figure(tokensPerSecond)),
    both('cache of a sequence, on a device', ({ memory }) => sizeText(Math.round(memory.sequence))),
    both(`memory at batch ${counted(facts.batch)}, of a device`, ({ memory }) => sizeText(Math.round(memory.total))),
    both('largest batch', ({ largestBatch }) => counted(largestBatch)),
    both('tokens/s at it, at most', ({ tokensPerSecondAtLargest: most }) => (most === null ? '–' : figure(most))),
    both(`longest context at batch ${counted(facts.batch)}`, ({ longest }) =>
      longest === null ? 'any' : longest === 0 ? 'none' : tokens(longest),
    ),
  ]
}

function breakEvenLines({ breakEven, facts }: RooflineFacts): string[] {
  const from = (context: number | null) => (context === null ? 'at no context' : `from ${tokens(context)}`)
  return [
    `Break-even at batch ${counted(facts.batch)}, the least context from which on the compressed step may be faster; by bytes alone, and where upkeep takes ${facts.latency} µs a layer beside its bytes:`,
    ...breakEven.map(
      ({ gain, byBytes, withLatency }) => `  ${gain.toFixed(1)} ×: ${from(byBytes)}; ${from(withLatency)} with that`,
    ),
  ]
}

function scalingLines({ facts, moving }: RooflineFacts, scaling: NonNullable<RooflineFacts['scaling']>): string[] {
  const { link, network, exchange, hosts } = facts.cluster
  const sent = ({ exchanges, exchangeBytes }: ScaledFacts) =>
    exchanges ? `${several(exchanges, 'exchange')}, ${sizeText(Math.round(exchangeBytes))} sent` : 'nothing exchanged'
  const rows = scaling.map(({ devices, full, compressed }) => [
    counted(devices),
    ...[full, compressed].flatMap((one) => [figure(one.tokensPerSecond), percent(one.exchangeShare)]),
    `largest batch ${counted(full.largestBatch)} and ${counted(compressed.largestBatch)}; ${[...new Set([full, compressed].map(sent))].join(' and ')}`,
  ])
  const most = scaling[0].batchOnHost
  return [
    `By devices of a host (${several(hosts, 'host')}, at most ${several(most, 'sequence')} on one; link ${link}, exchange '${exchange}'):`,
    ...columns([['devices', 'full, tokens/s', 'exchange', 'compressed, tokens/s', 'exchange', ''], ...rows]),
    ...(moving
      ? [
          `To another host over ${network}, a port for each device, at least: a sequence's cache in ${time(moving.full)}, compressed in ${time(moving.compressed)}; the weights in ${time(moving.weights)}`,
        ]
      : []),
  ]
}

function fitLines({ full, compressed, facts }: RooflineFacts, hosts: number): string[] {
  const tooMany = [
    ...(facts.batch > full.largestBatch ? ['full cache'] : []),
    ...(facts.batch > compressed.largestBatch ? ['compressed one'] : []),
  ]
  const idle =
    facts.batch < hosts
      ? [`${several(hosts - facts.batch, 'host')} would have nothing to do: a sequence is on one`]
      : []
  if (!tooMany.length) return idle
  const within = sizeText(facts.device.memory)
  return [
    ...idle,
    `Batch ${counted(facts.batch)} does not fit into ${within} a device with the ${tooMany.join(', nor with the ')}.`,
  ]
}

/** Text of the names that roofline() knows: `what` are models or devices. */
export const namesText =
  (what: 'models' | 'devices') =>
  (names: readonly string[]): string =>
    `${names.length} ${what} of roofline(): ${names.join(', ')}`
