/** What the rows of the model's bench share: models, the engines beside ours, the text, the ceiling; each made when first asked for. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { load, type Model, type Policy, type Weights } from '../../src/index.js'
import { projectRoot } from '../../src/native/binding.js'
import { makeBenchModel } from '../make-bench-model.js'
import { text } from '../text.js'
import { Ceiling } from './ceiling.js'
import { llama, type Llama } from './llama.js'
import { OpenVino } from './openvino.js'
import { Ours, type Peer } from './peers.js'
import { inTurns, rowText, type Contender, type Limit } from './turns.js'

export const NAME = 'smollm2-135m'
/** The model as it is fetched (Q4_1, embedding Q8_0), and the same in F16. */
export type File = 'default' | 'F16'

export const LENGTHS = { '128': 128, '1k': 1024, '4k': 4096, '8k': 8192 }
export type Length = keyof typeof LENGTHS

export interface Options {
  turns: number
  threads: number
  /** Of our models, where a row names none; default: the library's. */
  weights?: Weights
  /** Only these depths and prompts; default: those of each row. */
  lengths?: Length[]
}

export interface Named {
  name: string
  peer: Peer
}

export interface Compared {
  title: string
  /** A row of each, all from the same turns. */
  ours: Contender[]
  theirs: Contender[]
  unit?: string
  digits?: number
  /** What each of ours must read at least. */
  bytes?: number[]
  warm?: number
}

export class Setting {
  private readonly models = new Map<string, Promise<Model>>()
  private readonly llamas = new Map<File, Promise<Llama | undefined>>()
  private others: Promise<OpenVino | undefined> | undefined
  private reader: Promise<Ceiling | undefined> | undefined
  private words: Int32Array | undefined

  constructor(readonly options: Options) {}

  /** Of a row's depths or prompts those that were asked for. */
  chosen<L extends Length>(lengths: readonly L[]): L[] {
    return lengths.filter((length) => this.options.lengths?.includes(length) ?? true)
  }

  /** Of the default file its name, of the other one its path; that is made where it is missing. */
  async pathOf(file: File): Promise<string> {
    if (file === 'default') return NAME
    const folder = join(projectRoot, 'build/bench')
    const path = join(folder, `${NAME}-f16.gguf`)
    mkdirSync(folder, { recursive: true })
    if (!existsSync(path)) await makeBenchModel(path, NAME)
    return path
  }

  model(file: File, weights = this.options.weights): Promise<Model> {
    return made(this.models, `${file} ${weights}`, async () =>
      load(await this.pathOf(file), { threads: this.options.threads, weights, progress: false }),
    )
  }

  async ours(file: File, { policy, weights }: { policy?: Policy; weights?: Weights } = {}): Promise<Peer> {
    return new Ours(await this.model(file, weights), this.options.threads, policy)
  }

  /** The first tokens of a real book; of the longest prompt so many fewer that `more` fit behind it. */
  async prompt(length: Length, more = 0): Promise<Int32Array> {
    const model = await this.model('default')
    const { context } = model.description
    this.words ??= Int32Array.from(text(model, context))
    return this.words.subarray(0, Math.min(LENGTHS[length], context - more))
  }

  /** llama.cpp on the same file, with flash attention and without; none where it cannot be had. */
  async llamaPeers(file: File, contextSize: number): Promise<Named[]> {
    const found = await made(this.llamas, file, () =>
      unless('llama.cpp', async () => {
        const reason = process.env.ZSLAB_BENCH_PEERS
        if (reason) throw new Error(reason)
        return llama((await this.model(file)).file.path, this.options.threads)
      }),
    )
    if (!found) return []
    return [
      { name: 'llama.cpp, flash attention on', peer: await found.peer(contextSize, true) },
      { name: 'llama.cpp, flash attention off', peer: await found.peer(contextSize, false) },
    ]
  }

  openVino(): Promise<OpenVino | undefined> {
    return (this.others ??= unless('OpenVINO GenAI', () => OpenVino.start(this.options.threads)))
  }

  /** Asks all of them and the ceiling in turns and prints a row for each of ours. */
  async compare({ title, ours, theirs, unit = 'ms', digits = 1, bytes, warm }: Compared): Promise<void> {
    const ceiling = bytes ? await this.ceiling() : undefined
    const rates: number[][][] = bytes?.map(() => []) ?? []
    const reads = (ceiling ? bytes! : []).map((each, i) => ({
      name: 'reading',
      ask: async () => rates[i].push(await ceiling!.rates(each)),
    }))
    const taken = await inTurns(this.options.turns, [...ours, ...theirs, ...reads], warm)
    const others = taken.slice(ours.length, ours.length + theirs.length)
    ours.forEach((_, i) => {
      const limit: Limit | undefined = ceiling && {
        bytes: bytes![i],
        patterns: ceiling.patterns,
        rates: rates[i].slice(-this.options.turns),
      }
      console.log(`${rowText({ title, unit, digits, ours: taken[i], theirs: others, limit })}\n`)
    })
  }

  private ceiling(): Promise<Ceiling | undefined> {
    return (this.reader ??= Ceiling.start(this.options.threads).then((found) => {
      if (!found) console.log('the share of the byte limit needs build/bench: `npm run bench model` builds it\n')
      return found
    }))
  }

  async dispose(): Promise<void> {
    for (const one of this.llamas.values()) await (await one)?.dispose()
    await (await this.others)?.end()
    await (await this.reader)?.end()
    for (const one of this.models.values()) (await one).dispose()
  }
}

/** What `names` holds under `name`, made once. */
function made<K, V>(names: Map<K, Promise<V>>, name: K, make: () => Promise<V>): Promise<V> {
  const found = names.get(name) ?? make()
  names.set(name, found)
  return found
}

/** What somebody else's engine starts with; undefined, and a line that says why, where it cannot be had. */
async function unless<T>(who: string, start: () => Promise<T>): Promise<T | undefined> {
  try {
    return await start()
  } catch (error) {
    console.log(`no ${who} to compare with (${(error as Error).message}): our own figures stand alone\n`)
    return undefined
  }
}
