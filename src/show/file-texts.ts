/** The texts of what hangs on models, runs and caches: files, tokenizers, cards, scores, states, the list of policies. */
import { interventionText, type InterventionFacts } from './interventions.js'
import { counted, headsText, lines, sizeText, weightsText, type Shape, type WeightsFacts } from './texts.js'

export interface DescriptionFacts extends Shape {
  arch: string
  name: string
  hidden: number
  feedForward: number
  vocabulary: number
  context: number
  parameters: number
}

export const descriptionText = (d: DescriptionFacts): string =>
  lines(
    `${d.name}, a ${d.arch} model of ${counted(d.parameters)} parameters`,
    headsText(d),
    `hidden ${counted(d.hidden)}, feed forward ${counted(d.feedForward)}; vocabulary ${counted(d.vocabulary)}, context ${counted(d.context)} tokens`,
    'next: description.kvHeads, description.headDim and so on are numbers',
  )

export interface FileFacts {
  path: string
  license: string | undefined
  description: DescriptionFacts
  gguf: { bytes: number; paths: readonly string[]; tensors: readonly unknown[] }
}

export const fileText = ({ path, license, description, gguf }: FileFacts): string =>
  lines(
    `Model file ${path}${gguf.paths.length > 1 ? ` and ${gguf.paths.length - 1} more` : ''}: ${gguf.tensors.length} tensors, ${sizeText(gguf.bytes)}, licence ${license ?? 'not said'}`,
    headsText(description),
    'next: file.description, file.tokenizer, await file.sha256(), file.gguf.metadata',
  )

export interface TokenizerFacts {
  vocabulary: number
  ends: ReadonlySet<number>
  addBos: boolean
  bos: number | undefined
  token(id: number): string
}

export function tokenizerText(tokenizer: TokenizerFacts): string {
  const named = (id: number) => `${tokenizer.token(id)} (${id})`
  const { bos, addBos } = tokenizer
  return lines(
    `Tokenizer of ${counted(tokenizer.vocabulary)} tokens`,
    `texts end with ${[...tokenizer.ends].map(named).join(', ') || 'no token'}; ${bos !== undefined && addBos ? `prompts begin with ${named(bos)}` : 'prompts begin with no token of their own'}`,
    "next: const ids = tokenizer.encode('…'); tokenizer.decode(ids), tokenizer.token(ids[0])",
  )
}

export type DeviceFacts =
  { kind: 'cpu'; why?: string } | { kind: 'cuda' | 'emulated'; number: number; name: string; memory: number }

/** `cpu`, `cpu (auto: why)`, `cuda:0 (NVIDIA H200, at most 125.5 GB)`, `emulated:0 (…)`. */
export function deviceText(device: DeviceFacts): string {
  if (device.kind === 'cpu') return device.why === undefined ? 'cpu' : `cpu (auto: ${device.why})`
  const { kind, number, name, memory } = device
  return `${kind}:${number} (${name}, at most ${sizeText(memory)})`
}

export interface EngineFacts {
  info: { isa: string; threads: number; library: string; abi: number; device: DeviceFacts }
}

export const engineText = ({ info }: EngineFacts): string =>
  lines(
    `Engine on ${info.threads} ${info.threads === 1 ? 'thread' : 'threads'}, kernels ${info.isa}, matrix products by ${info.library}, ABI ${info.abi}`,
    `device: ${deviceText(info.device)}`,
    'next: engine.info; load(name, { threads, isa, device }) chooses another',
  )

interface CardPolicy {
  name: string
  options: object
  of?: CardPolicy
}

export interface CardFacts {
  model: { name: string; sha256: string; license: string | undefined; parameters: number }
  policy: CardPolicy
  interventions?: readonly InterventionFacts[]
  sampling?: { temperature: number }
  seed?: number
  versions: { zslab: string; node: string; abi: number }
  cpu: { isa: string }
  library: string
  threads: number
  /** Absent in files of before there were devices. */
  device?: DeviceFacts
  storage: string
  weights: string
  /** Absent in files of before there was more than one kind. */
  held?: WeightsFacts & { rows: string; prompts: string }
}

export const policyCardText = ({ name, options, of }: CardPolicy): string =>
  `${name} ${JSON.stringify(options)}${of ? ` of ${policyCardText(of)}` : ''}`

export function cardText(card: CardFacts): string {
  const { model, versions, sampling, held } = card
  const greedy = sampling && 'the likeliest token'
  const drawn = sampling?.temperature ? `temperature ${sampling.temperature}, seed ${card.seed}` : greedy
  return lines(
    `Run card: ${model.name}, ${counted(model.parameters)} parameters, licence ${model.license ?? 'not said'}, SHA-256 ${model.sha256}`,
    `policy ${policyCardText(card.policy)}`,
    ...(card.interventions ?? []).map(interventionText),
    `storage ${card.storage}${held ? '' : `, weights ${card.weights}`}${drawn ? `; ${drawn}` : ''}`,
    held && weightsText(card.weights, held),
    held && `up to 24 rows: ${held.rows}; more: ${held.prompts}`,
    `zslab ${versions.zslab}, Node ${versions.node}, ABI ${versions.abi}; ${card.cpu.isa}, ${card.library}, ${card.threads} threads`,
    `device: ${deviceText(card.device ?? { kind: 'cpu' })}`,
    'next: JSON.stringify(card) keeps all of it; card.resolved, card.exactness',
  )
}

export interface ScoreFacts {
  tokens: ArrayLike<number>
  perplexity: number
  scored: number
  prefilled: number
  receipt: { ok: boolean }
}

export const scoreText = (score: ScoreFacts): string =>
  lines(
    `Score of ${counted(score.tokens.length)} tokens: perplexity ${score.perplexity.toPrecision(5)} over ${counted(score.scored)} of them`,
    `${counted(score.prefilled)} read as the prompt before the policy acted step by step; receipt ${score.receipt.ok ? 'ok' : 'FAILED'}`,
    'next: score.logprobs[i] (natural), score.tokens[i], score.receipt',
  )

export interface StateFacts {
  keys: ArrayLike<number>
  seqLen: number
  slots: readonly number[]
  residual: readonly number[]
}

export function stateText({ keys, seqLen, slots, residual }: StateFacts): string {
  const all = slots.reduce((sum, count) => sum + count, 0)
  const each = (counts: readonly number[]) => (new Set(counts).size > 1 ? `[${counts.join(', ')}]` : String(counts[0]))
  return lines(
    `State of a layer after ${counted(seqLen)} tokens: ${slots.length} kv heads, ${each(slots)} slots each, ${each(residual)} of them merged`,
    `keys, values [${all}, ${all ? keys.length / all : 0}]; weights, scores [${all}]: heads one after another`,
    'next: rows state.offsets[head] to state.offsets[head + 1] are one head; state.origins[head][slot] are positions',
  )
}

export type ArraysFacts = readonly Readonly<Record<string, { shape: readonly number[] }>>[]

export function arraysText(heads: ArraysFacts): string {
  const [first = {}] = heads
  const names = Object.keys(first)
  const shapes = names.map((name) => `${name} [${first[name].shape.join(', ')}]`)
  return lines(
    `What the policy keeps of a layer beside its slots, ${heads.length} kv heads: ${names.length ? 'arrays of each' : 'nothing'}`,
    shapes.length ? `of the first: ${shapes.join(', ')}` : undefined,
    names.length ? `next: const { shape, data } = inspected[head].${names[0]}` : undefined,
  )
}

export interface DefinitionFacts {
  name: string
  about: string
  options: object
}

export const definitionText = ({ name, about, options }: DefinitionFacts): string =>
  lines(
    `Policy ${name}: ${about}`,
    `options: ${Object.keys(options).join(', ')}`,
    `next: policyNamed('${name}', { … }); npx zslab policies ${name}`,
  )

export const definitionsText = (all: readonly DefinitionFacts[]): string =>
  lines(
    `${all.length} policies`,
    ...all.map(({ name, about }) => `${name.padEnd(12)} ${about}`),
    "next: policyNamed('zsmerge', { budget: 0.1 }); npx zslab policies",
  )
