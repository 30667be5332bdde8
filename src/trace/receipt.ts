/** What held: the engine's own counts and checks as an object and as words, and how the bytes are split. */
import type { NativeReceipt, Resolved } from '../native/binding.js'
import type { DeviceInfo } from '../native/device.js'
import type { Policy } from '../policies/index.js'
import { deviceText } from '../show/file-texts.js'
import { showsItself } from '../show/show.js'
import { bytesText, receiptText } from '../show/texts.js'

/** Slots by region, and whether heads differ. */
type ResolvedWords = Resolved & { heads?: unknown }

export interface Receipt {
  /** True where every check below holds. */
  ok: boolean
  /** Tokens seen. */
  seqLen: number
  /** Over all layers and kv heads. */
  admitted: number
  left: number
  merged: number
  dropped: number
  checks: {
    /** In every head the weights and what was dropped add up to the tokens seen. */
    weightsSum: boolean
    /** Every position is in exactly one slot, or was dropped; undefined where origins are not kept. */
    positionsOnce: boolean | undefined
    /** Never more slots than the budget (a policy that acts on prompts only: plus the tokens since). */
    budgetHeld: boolean
    /** No NaN or infinity in queries, keys, values, weights, scores. */
    finite: boolean
  }
  /** Rows (tokens times layers) that attended on the CPU, and on the device, of what the session was forked from, and of tokens taken back, too. */
  attended: { cpu: number; device: number }
  /** Whether the policy acted at all. */
  compressed: boolean
  /** In words: what held, what did not, whether the policy could act, and the device where it is another than the CPU or 'auto' chose it. */
  notes: string[]
}

export function receiptOf(
  native: NativeReceipt,
  policy: Policy,
  resolved: ResolvedWords | undefined,
  device: DeviceInfo = { kind: 'cpu' },
): Receipt {
  const checks = {
    weightsSum: native.weightsSum === 1,
    positionsOnce: native.positionsOnce < 0 ? undefined : native.positionsOnce === 1,
    budgetHeld: native.budgetHeld === 1,
    finite: native.finite === 1,
  }
  const compressed = native.compressed === 1
  return shownReceipt({
    ok: Object.values(checks).every((held) => held !== false),
    seqLen: native.seqLen,
    admitted: native.admitted,
    left: native.left,
    merged: native.merged,
    dropped: native.dropped,
    checks,
    attended: { cpu: native.rowsHere, device: native.rowsThere },
    compressed,
    notes: [...failures(checks, native), acted(native, policy, resolved, compressed), ...usedDevice(device, native)],
  })
}

export const shownReceipt = (receipt: Receipt): Receipt => showsItself(receipt, receiptText)

const FAILURES: Record<keyof Receipt['checks'], (native: NativeReceipt) => string> = {
  weightsSum: ({ weightsLayer, weightsHead, weightsFound, seqLen }) =>
    `the weights do not add up to the tokens seen: layer ${weightsLayer}, kv head ${weightsHead} has ${weightsFound}, dropped ones included, of ${seqLen}`,
  positionsOnce: ({ onceLayer, onceHead, oncePosition }) =>
    `a position is in two places or in none: layer ${onceLayer}, kv head ${onceHead}, position ${oncePosition}`,
  budgetHeld: ({ budgetLayer, budgetHead, budgetStep }) =>
    `a head held more slots than the budget: layer ${budgetLayer}, kv head ${budgetHead}, step ${budgetStep}`,
  finite: ({ badLayer, badHead, badRow }) =>
    badRow >= 0
      ? `a query is not a number: layer ${badLayer}, head ${badHead}, position ${badRow}`
      : `there is a NaN or an infinity in the cache: layer ${badLayer}, kv head ${badHead}`,
}

const failures = (checks: Receipt['checks'], native: NativeReceipt) =>
  (Object.keys(checks) as (keyof Receipt['checks'])[])
    .filter((name) => checks[name] === false)
    .map((name) => FAILURES[name](native))

function usedDevice(device: DeviceInfo, { rowsHere, rowsThere }: NativeReceipt): string[] {
  if (device.kind === 'cpu') return device.why === undefined ? [] : [`device: ${deviceText(device)}`]
  const elsewhere = rowsHere
    ? `${rowsHere} of ${rowsHere + rowsThere} rows of attention were on the CPU`
    : 'all attention was there'
  return [`device: ${deviceText(device)}: ${elsewhere}`]
}

function acted(
  native: NativeReceipt,
  policy: Policy,
  resolved: ResolvedWords | undefined,
  compressed: boolean,
): string {
  if (!resolved) return 'nothing was read yet'
  if (policy.acts === 'reading')
    return `${policy.name} keeps all ${native.seqLen} tokens; after the prompt a token reads at most ${resolved.read} slots per kv head${resolved.heads ? ' (the mean of all heads)' : ''}`
  if (policy.acts === 'never') return `the full cache holds all ${native.seqLen} tokens`
  const each = resolved.heads ? ' (the mean of all heads)' : ''
  if (!resolved.budget)
    return compressed
      ? `${policy.name} keeps all ${native.seqLen} tokens, ${policy.projects ? 'each' : 'older ones'} in part`
      : `${policy.name} had nothing to do: all ${native.seqLen} tokens are as in the full cache`
  if (!compressed)
    return `${policy.name} could not act: ${native.seqLen} tokens fit into the budget of ${resolved.budget} slots${each}, so this run equals the full cache`
  const since = policy.acts === 'prompt' ? ', which acts on prompts only,' : ''
  const more = since ? ' and all tokens since' : ''
  return `${policy.name}${since} held ${native.seqLen} tokens in ${resolved.budget} slots per kv head${each}${more}: ${native.merged} merged, ${native.dropped} dropped (all layers and heads)`
}

/** Bytes of one region; the names of zs_region. */
export const REGIONS = ['residual', 'sink', 'context', 'recent', 'queries', 'bookkeeping', 'spare'] as const
export type Region = (typeof REGIONS)[number]

export interface CacheBytes {
  /**
   * [layer][kvHead][region], as allocated: spare is allocated with no slot in it yet. Under a policy that holds its budget at every step,
   * slots and spare of a kv head take at most its budget and 15 slots more, merged slots 4 bytes a number whatever the storage; without a
   * budget, or after the prompt where a policy acts on prompts alone, a head grows ahead of its tokens.
   */
  byLayer: Record<Region, number>[][]
  byRegion: Record<Region, number>
  total: number
  /** The most that this cache held at any time. */
  peak: number
  /** What the keys and values of all tokens seen would take in a full cache of the same storage. */
  fullCache: number
}

export interface CacheShape {
  layers: number
  heads: number
  kvHeads: number
  headDim: number
}

export function bytesOf(
  columns: Float64Array,
  peak: number,
  shape: CacheShape,
  seqLen: number,
  bytesPerElement: number,
): CacheBytes {
  const byRegion = Object.fromEntries(REGIONS.map((region) => [region, 0])) as Record<Region, number>
  const byLayer = Array.from({ length: shape.layers }, (_, layer) =>
    Array.from({ length: shape.kvHeads }, (_, kvHead) => {
      const at = (layer * shape.kvHeads + kvHead) * REGIONS.length
      const one = Object.fromEntries(REGIONS.map((region, i) => [region, columns[at + i]])) as Record<Region, number>
      for (const region of REGIONS) byRegion[region] += one[region]
      return one
    }),
  )
  const made: CacheBytes = {
    byLayer,
    byRegion,
    total: REGIONS.reduce((sum, region) => sum + byRegion[region], 0),
    peak,
    fullCache: 2 * shape.layers * shape.kvHeads * shape.headDim * seqLen * bytesPerElement,
  }
  return showsItself(made, bytesText)
}
