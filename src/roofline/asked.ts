/** What a prediction is asked for: options checked, defaults filled in, names looked up. */
import { basename } from 'node:path'
import { invalid, flag, integer, number, object, oneOf, options as checked, text } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { describe } from '../model/architectures.js'
import { readGguf } from '../model/gguf-parts.js'
import { STORAGES, type Storage } from '../native/engine.js'
import { resolve, type Policy } from '../policies/policy.js'
import { zsmerge } from '../policies/zsmerge.js'
import { MOST_CONTEXT } from './break-even.js'
import { WEIGHTS, type Slots, type WeightsType } from './bytes.js'
import { DEVICES, type Device } from './devices.js'
import { LINKS, NETWORKS, type LinkName, type NetworkName } from './links.js'
import { EXCHANGES, GRANULARITIES, splitsOf, type Cluster, type ExchangeKind, type Granularity } from './several.js'
import { SHAPES, type ModelShape } from './shapes.js'

export interface RooflineOptions {
  /** A name of ROOFLINE_MODELS, the path of a GGUF file (its header is read), or a shape. */
  model: string | ModelShape
  /** Tokens in the text. */
  context: number
  /** Sequences decoded together, on all hosts. Default 1. */
  batch?: number
  /** Kept share of the context, above 0 and below 1. Default, without a budget: zsmerge's own. */
  keep?: number
  /** Slots per kv head, instead of a share. */
  budget?: number
  /** Merged slots: a count, or a share of budget − recent, as of zsmerge (default 0.02; 0: what leaves is dropped). */
  residual?: number
  /** Default bfloat16. q8_0 … q4_k: as in GGUF files, multiplied as they are, as the engine does on the CPU. */
  weights?: WeightsType
  /** How keys and values are kept; merged slots are float32. Default bfloat16. */
  storage?: Storage
  /** A name of ROOFLINE_DEVICES. Default 'h100'. */
  device?: string
  /** Bytes of memory of a device, bytes a second that it moves: instead of the device's own. */
  memory?: number
  bandwidth?: number
  /** Microseconds that upkeep takes in a layer beside its bytes. Default 8: choosing and merging at batch 1 as trial kernels took (docs/cuda.md). */
  latency?: number
  /** Devices of a host, which share kv heads. Default 1. */
  devices?: number
  /** Hosts, which share sequences. Default 1. */
  hosts?: number
  /** Between the devices of a host. Default: what the device has. */
  link?: LinkName
  /** Between hosts. Default 'ndr'. */
  network?: NetworkName
  /** Default 'reduce'; 'gather': results have the bits of a single device. */
  exchange?: ExchangeKind
  /** Who chooses who stays, as of zsmerge: where not each head (default), devices exchange scores. */
  granularity?: Granularity
}

export interface Asked {
  model: ModelShape
  context: number
  batch: number
  weights: WeightsType
  storage: Storage
  device: Device
  latency: number
  cluster: Cluster
  policy: Policy
}

const OPTIONS = [
  ...['model', 'context', 'batch', 'keep', 'budget', 'residual', 'weights', 'storage', 'device', 'memory', 'bandwidth'],
  ...['latency', 'devices', 'hosts', 'link', 'network', 'exchange', 'granularity'],
]
const MOST_BATCH = 2 ** 20

/** Errors: 'invalid' naming the option; those of the file's reader. */
export async function askedOf(given: RooflineOptions): Promise<Asked> {
  const known = checked('roofline', object('options', given), OPTIONS) as Partial<RooflineOptions>
  const { batch = 1, weights = 'bfloat16', storage = 'bfloat16', latency = 8, devices = 1, hosts = 1 } = known
  const context = integer('context', known.context, 1, MOST_CONTEXT)
  const policy = policyOf(known)
  const device = deviceOf(known)
  const asked = {
    context,
    batch: integer('batch', batch, 1, MOST_BATCH),
    weights: oneOf('weights', weights, WEIGHTS),
    storage: oneOf('storage', storage, STORAGES),
    device,
    latency: number('latency', latency, 0, 1e6, 'of microseconds from 0 to 1000000'),
    cluster: {
      devices: integer('devices', devices, 1, 4096),
      hosts: integer('hosts', hosts, 1, 65536),
      link: oneOf('link', known.link ?? device.link, LINKS),
      network: oneOf('network', known.network ?? 'ndr', NETWORKS),
      exchange: oneOf('exchange', known.exchange ?? 'reduce', EXCHANGES),
      granularity: oneOf('granularity', known.granularity ?? 'head', GRANULARITIES),
    },
    policy,
  }
  const model = await shapeOf(known.model)
  const splits = splitsOf(model)
  if (!splits.includes(devices))
    throw invalid(
      'devices',
      `a number that shares out the ${model.kvHeads} kv heads of ${model.name} evenly (${splits.join(', ')})`,
      devices,
      'more devices can be further hosts, which share sequences',
    )
  // A budget too small for its parts is told now, in the policy's own sentence.
  resolve(policy, context)
  return { model, ...asked }
}

function policyOf({ keep, budget, residual, granularity }: Partial<RooflineOptions>): Policy {
  if (keep !== undefined && budget !== undefined)
    throw new ZslabError('invalid', 'keep and budget were given, which say the same: leave one')
  if (keep !== undefined && (typeof keep !== 'number' || !(keep > 0 && keep < 1)))
    throw invalid('keep', 'a share of the context above 0 and below 1', keep, 'slots are given as budget')
  if (budget !== undefined) integer('budget', budget, 1, 2 ** 31 - 1)
  const size = keep ?? budget
  return zsmerge({
    ...(size !== undefined && { budget: size }),
    ...(residual !== undefined && { residual }),
    ...(granularity !== undefined && { granularity }),
  })
}

function deviceOf({ device = 'h100', memory, bandwidth }: Partial<RooflineOptions>): Device {
  const name = oneOf(
    'device',
    typeof device === 'string' ? device.toLowerCase() : device,
    DEVICES.map((one) => one.name),
  )
  const found = { ...DEVICES.find((one) => one.name === name)! }
  if (memory !== undefined) found.memory = number('memory', memory, 1, 1e18, 'of bytes from 1 to 1e18')
  if (bandwidth !== undefined) {
    found.bandwidth = number('bandwidth', bandwidth, 1, 1e18, 'of bytes a second from 1 to 1e18')
    found.bandwidthFrom = 'given'
  }
  return found
}

async function shapeOf(model: unknown): Promise<ModelShape> {
  if (typeof model !== 'string') return givenShape(model)
  const named = SHAPES.find(({ name }) => name === model.toLowerCase())
  if (named) return named
  if (!/[\\/]|\.gguf$/i.test(model))
    throw new ZslabError(
      'invalid',
      `no model's shape is known as ${shown(model)}; there are: ${SHAPES.map(({ name }) => name).join(', ')}; or give the path of a GGUF file`,
    )
  const { layers, heads, kvHeads, headDim, hidden, feedForward, vocabulary, context, tiedOutput } = describe(
    await readGguf(model),
  )
  const shape = { layers, heads, kvHeads, headDim, hidden, feedForward, vocabulary, context, tiedOutput }
  return { name: basename(model), ...shape, qkvBias: false }
}

function givenShape(model: unknown): ModelShape {
  if (typeof model !== 'object' || model === null)
    throw invalid('model', 'the name of a model, the path of a GGUF file or a shape', model)
  const names = ['layers', 'heads', 'kvHeads', 'headDim', 'hidden', 'feedForward', 'vocabulary', 'context'] as const
  const given = checked('model', model, ['name', ...names, 'tiedOutput', 'qkvBias'])
  const counts = names.map((name) => [name, integer(`model.${name}`, given[name], 1, 2 ** 24)])
  const shape = Object.fromEntries(counts) as Record<(typeof names)[number], number>
  if (shape.heads % shape.kvHeads)
    throw invalid('model.heads', `a multiple of the ${shape.kvHeads} kv heads`, shape.heads)
  return {
    name: text('model.name', given.name),
    ...shape,
    tiedOutput: flag('model.tiedOutput', given.tiedOutput),
    qkvBias: flag('model.qkvBias', given.qkvBias),
  }
}

/** A cache that keeps all of `context` tokens. */
export const fullSlots = (context: number): Slots => ({ slots: context, merged: 0, scored: false, over: false })

/** A compressed cache after `context` tokens; null: the policy refuses a budget this small. */
export function compressedSlots({ policy }: Asked, context: number): Slots | null {
  let sizes
  try {
    sizes = resolve(policy, context)
  } catch (error) {
    if (error instanceof ZslabError && error.code === 'invalid') return null
    throw error
  }
  const over = context >= sizes.budget
  return { slots: Math.min(context, sizes.budget), merged: over ? sizes.residual : 0, scored: true, over }
}
