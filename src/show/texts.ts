/** The texts by which public objects show themselves: what it is, how big, and what to do next. From plain facts: it knows no class. */
import { inspect } from 'node:util'

export const counted = (value: number) => value.toLocaleString('en-US')

/** 3 → '3rd' */
export function ordinal(value: number): string {
  const tens = value % 100
  const ending = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][value % 10] ?? 'th')
  return `${counted(value)}${ending}`
}

/** 12,345,678 → '12.3 MB' (powers of 1000). */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3))
  return `${(bytes / 1000 ** power).toFixed(1)} ${['', 'kB', 'MB', 'GB'][power]}`
}

export interface Shape {
  layers: number
  heads: number
  kvHeads: number
  headDim: number
}

export const headsText = ({ layers, heads, kvHeads, headDim }: Shape) =>
  `${layers} layers, ${heads} heads over ${kvHeads} kv heads of ${headDim}`
/** Keys and values of one token in a full cache. */
const tokenBytes = ({ layers, kvHeads, headDim }: Shape, storage: string) =>
  2 * layers * kvHeads * headDim * (storage === 'float32' ? 4 : 2)

export const lines = (first: string, ...rest: (string | undefined)[]) =>
  [first, ...rest.filter((line) => line !== undefined).map((line) => `  ${line}`)].join('\n')

export interface WeightsFacts {
  types: Readonly<Record<string, number>>
  mapped: boolean
  why: string
}

/** `weights as in the file: Q4_1 66.4 MB, Q8_0 30.1 MB; mapped`. */
export function weightsText(weights: string, { types, mapped, why }: WeightsFacts): string {
  const each = Object.entries(types).map(([type, bytes]) => `${type} ${sizeText(bytes)}`)
  const where = mapped ? 'mapped' : 'in memory of this process'
  return `weights ${weights === 'file' ? 'as in the file' : weights}: ${each.join(', ')}; ${where}${why && `: ${why}`}`
}

export interface ModelFacts {
  name: string
  weights: string
  bytes: number
  held: WeightsFacts
  description: Shape & { arch: string; parameters: number; vocabulary: number; context: number }
}

export function modelText({ name, weights, bytes, held, description: d }: ModelFacts): string {
  return lines(
    `Model ${name} (${d.arch}): ${counted(d.parameters)} parameters, ${sizeText(bytes)}`,
    weightsText(weights, held),
    `${headsText(d)}; vocabulary ${counted(d.vocabulary)}, context ${counted(d.context)} tokens`,
    `a full cache takes ${counted(tokenBytes(d, 'float16'))} bytes per token (storage float16)`,
    'next: model.session({ policy: zsmerge({ budget: 0.1 }) })',
  )
}

export interface PolicyFacts {
  name: string
  /** Of a user's own: what is asked. */
  native?: { choose?: unknown }
  /** The call that makes it. */
  toString(): string
}

/** The call that makes a policy of `given` options, wrappers around what they wrap. */
export function callText(name: string, given: Readonly<Record<string, unknown>>): string {
  const written = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${key === 'of' ? String(value) : inspect(value)}`)
  return `${name}({ ${written.join(', ')} })`
}

export const policyText = (policy: PolicyFacts): string =>
  lines(
    `Policy ${policy.toString()}`,
    policy.native?.choose
      ? 'next: model.session({ policy, trace: true }); what its options mean is yours to say'
      : `next: model.session({ policy }); what the options mean: npx zslab policies ${policy.name}`,
  )

interface Held {
  total: number
  fullCache: number
}

function heldText({ total, fullCache }: Held): string {
  const share =
    fullCache > 0 ? ` (${((100 * total) / fullCache).toFixed(0)}% of all keys and values, ${sizeText(fullCache)})` : ''
  return `${sizeText(total)} in the cache${share}`
}

export interface SessionFacts {
  model: { name: string; description: Shape & { context: number } }
  policy: PolicyFacts & { endless: boolean }
  storage: string
  traceLevel: string
  seqLen: number
  disposed: boolean
  bytes(): Held
}

export function sessionText(session: SessionFacts): string {
  const { model, policy, storage, traceLevel, seqLen, disposed } = session
  const context = counted(model.description.context)
  const read = policy.endless
    ? `${counted(seqLen)} tokens read, with no end (within the context of ${context} are those kept)`
    : `${counted(seqLen)} of ${context} tokens read`
  return lines(
    `Session of ${model.name} under ${policy.toString()}`,
    `storage ${storage}, ${counted(tokenBytes(model.description, storage))} bytes per token in full; ${traceLevel === 'off' ? 'no events are kept (trace: true keeps them)' : 'every event is kept'}`,
    disposed ? 'disposed: make a new one with model.session()' : `${read}; ${heldText(session.bytes())}`,
    disposed ? undefined : `next: const run = await session.generate(${seqLen ? '' : "'…'"})`,
  )
}

export function batchText({ sessions }: { sessions: readonly SessionFacts[] }): string {
  const under = sessions.map(({ policy, seqLen }) => `${policy.toString()}, ${counted(seqLen)} tokens read`)
  return lines(
    `Batch of ${sessions.length} session${sessions.length === 1 ? '' : 's'} of ${sessions[0].model.name}`,
    ...under.slice(0, 8),
    under.length > 8 ? `and ${under.length - 8} more` : undefined,
    'next: const runs = await Promise.all(batch.generate({ maxTokens: 64 }))',
  )
}

export const snapshotText = (seqLen: number, policy: PolicyFacts): string =>
  lines(
    `Snapshot of a session under ${policy.toString()}, ${counted(seqLen)} tokens read`,
    'next: await session.restore(snapshot); snapshot.dispose() frees it',
  )

export interface CacheFacts {
  shape: Shape
  policy: PolicyFacts
  storage: string
  trace: boolean
  seqLen: number
  bytes: Held
}

export const cacheText = ({ shape, policy, storage, trace, seqLen, bytes }: CacheFacts): string =>
  lines(
    `Cache under ${policy.toString()}`,
    `${headsText(shape)}, storage ${storage}, ${counted(tokenBytes(shape, storage))} bytes per token in full; ${trace ? 'every event is kept' : 'no events are kept'}`,
    `${counted(seqLen)} tokens seen; ${heldText(bytes)}`,
    `next: await cache.${seqLen ? 'step' : 'prefill'}(layer, q, k, v) for every layer; cache.state(layer), cache.receipt()`,
  )

interface TapeFacts {
  memory: number
  files: number
}

/** What a tape takes. */
export const tapeText = ({ memory, files }: TapeFacts): string =>
  files ? `${sizeText(memory)} in memory, ${sizeText(files)} in temporary files` : `${sizeText(memory)} in memory`

/** Beside what is being done, where not all of its events will stay in memory. */
export const tapePlan = (most: TapeFacts): string =>
  most.files ? `, up to ${sizeText(most.memory + most.files)} of events (${tapeText(most)})` : ''

export function traceText(
  actions: ArrayLike<number> | undefined,
  names: readonly string[],
  whole: TapeFacts & { events: number },
): string {
  if (!actions) return lines('Trace without events: the session kept none', 'next: model.session({ trace: true, … })')
  const counts = names.map(() => 0)
  for (let at = 0; at < actions.length; at++) counts[actions[at]]++
  const each = names.map((name, at) => `${counted(counts[at])} ${name}`).join(', ')
  return lines(
    `Trace of ${counted(actions.length)} events: ${each}`,
    `the tape: ${counted(whole.events)} events, ${tapeText(whole)}`,
    "next: trace.events(), a frame of them; trace.columns(), typed arrays; trace.save('x.arrow'); figures.evictionMap(trace)",
  )
}

export interface ReceiptFacts {
  ok: boolean
  seqLen: number
  admitted: number
  left: number
  merged: number
  dropped: number
  notes: readonly string[]
}

export const receiptText = (receipt: ReceiptFacts): string =>
  lines(
    `Receipt ${receipt.ok ? 'ok' : 'FAILED'}: ${counted(receipt.seqLen)} tokens seen`,
    `${(['admitted', 'left', 'merged', 'dropped'] as const).map((name) => `${counted(receipt[name])} ${name}`).join(', ')} (all layers and heads)`,
    ...receipt.notes,
  )

export const bytesText = (bytes: Held & { peak: number; byRegion: object }): string =>
  lines(
    `${heldText(bytes)}, ${sizeText(bytes.peak)} at most`,
    `by region: ${Object.entries(bytes.byRegion as Record<string, number>)
      .filter(([, size]) => size > 0)
      .map(([region, size]) => `${region} ${sizeText(size)}`)
      .join(', ')}`,
    'next: bytes.byLayer[layer][kvHead]',
  )

export const streamText = (tokens: number, ended: boolean): string =>
  lines(
    `Generation ${ended ? 'that has ended' : 'under way'}: ${counted(tokens)} tokens so far`,
    'next: const run = await generation, or for await (const token of generation) …',
  )
