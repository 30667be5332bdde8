/**
 * What measures of heads cost on the default model, as shares of reading: CPU time of the process on one thread (other programs do not count),
 * in turns; medians (least–most).
 *   1. ablation of every head on 256 tokens, side by side, of as many separate readings with one head changed and logits of the same last 32
 *      rows (without their KL divergence, which the first makes, too);
 *   2. attention statistics of every head, of reading the same text in a session (`--tokens`, default 4096).
 *   npx tsx bench/heads.ts [rounds = 3] [tokens = 4096] [weights = bfloat16]
 */
import { loadavg } from 'node:os'
import { fullCache, headImportance, load, type Weights } from '../src/index.js'
import { native } from '../src/native/binding.js'
import { text } from './text.js'

const [rounds = 3, tokens = 4096] = process.argv.slice(2, 4).map(Number)
const weights = (process.argv[4] ?? 'bfloat16') as Weights
const model = await load('smollm2-135m', { threads: 1, weights, progress: false })
const { layers, heads, vocabulary } = model.description
const all = layers * heads

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))].toFixed(3)
  return `${at(0.5)} (${at(0)}–${at(1)})`
}

const short = Int32Array.from(text(model, 256))
const logits = new Float32Array(32 * vocabulary)
const separate = (at: number) =>
  native().modelRead(model.native, {
    ids: short,
    rows: 32,
    changes: [{ layer: Math.floor(at / heads), head: at % heads, kind: 0, gate: 0 }],
    logits,
  })
const READS = 27
console.log(`${weights} weights, one thread; load ${loadavg()[0].toFixed(1)}`)
const [together, alone, shares]: number[][] = [[], [], []]
await separate(0)
const reads = async (round: number) => {
  let sum = 0
  for (let i = 0; i < READS; i++) sum += await seconds(() => separate((i * 10 + round) % all))
  return (sum / READS) * all
}
for (let round = 0; round < rounds; round++) {
  const before = await reads(round)
  const found = await seconds(() => headImportance(model, short, { by: 'ablation', progress: false }))
  const each = (before + (await reads(round + 5))) / 2
  together.push(found)
  alone.push(each)
  shares.push(found / each)
}
console.log(
  `${all} heads, 256 tokens: together ${spread(together)} s, separate ${spread(alone)} s, share ${spread(shares)}`,
)

const long = Int32Array.from(text(model, tokens))
const by = ['sinkMass', 'entropy', 'effectiveTokens', 'locality', 'outputNorm']
const [prompt, measured, ratios]: number[][] = [[], [], []]
for (let round = 0; round < rounds; round++) {
  const session = model.session({ policy: fullCache(), storage: 'float32' })
  const read = () => seconds(() => session.prefill(long, { progress: false }))
  const measure = () => seconds(() => headImportance(model, long, { by, progress: false }))
  const [first, second] = round % 2 ? [await measure(), await read()] : [await read(), await measure()]
  const [a, b] = round % 2 ? [second, first] : [first, second]
  prompt.push(a)
  measured.push(b)
  ratios.push(b / a)
  session.dispose()
}
console.log(
  `attention statistics, ${tokens} tokens: ${spread(measured)} s, the prompt ${spread(prompt)} s, share ${spread(ratios)}`,
)
model.dispose()
