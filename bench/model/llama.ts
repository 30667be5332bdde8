/** llama.cpp through node-llama-cpp (bench/package.json), as far as the model's bench needs it; typed here, since it may not be installed. */
import { clock, type Peer } from './peers.js'

type Ids = number[]
interface Sequence {
  clearHistory(): Promise<void>
  evaluateWithoutGeneratingNewTokens(ids: Ids): Promise<void>
  evaluate(ids: Ids, options: object): AsyncGenerator<number, void, void>
}
interface LlamaContext {
  getSequence(): Sequence
  dispose(): Promise<void>
}
interface LlamaModel {
  createContext(options: object): Promise<LlamaContext>
  dispose(): Promise<void>
}
interface Library {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<LlamaModel>; dispose(): Promise<void> }>
}

export interface Llama {
  /** A context of its own with an F16 cache. */
  peer(contextSize: number, flashAttention: boolean): Promise<Peer>
  dispose(): Promise<void>
}

/** Loads the model; throws where node-llama-cpp is not installed or does not run here. */
export async function llama(modelPath: string, threads: number): Promise<Llama> {
  const name = 'node-llama-cpp' // not a literal: the compiler need not find it
  const { getLlama } = (await import(name)) as Library
  const library = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' })
  const model = await library.loadModel({ modelPath, useMmap: false })
  return {
    peer: async (contextSize, flashAttention) =>
      wrap(await model.createContext({ contextSize, batchSize: 512, threads, flashAttention }), threads),
    dispose: async () => {
      await model.dispose()
      await library.dispose()
    },
  }
}

function wrap(context: LlamaContext, threads: number): Peer {
  const sequence = context.getSequence()
  let decoding: AsyncGenerator<number, void, void> | undefined
  let last = 0
  return {
    async prompt(given) {
      const ids = Array.from(given)
      await sequence.clearHistory()
      decoding = undefined
      last = ids[ids.length - 1]
      const from = clock(threads)
      await sequence.evaluateWithoutGeneratingNewTokens(ids)
      return clock(threads) - from
    },
    async decode(count) {
      decoding ??= sequence.evaluate([last], { temperature: 0, yieldEogToken: true })
      const ms: number[] = []
      while (ms.length < count) {
        const from = clock(threads)
        if ((await decoding.next()).done) throw new Error('llama.cpp stopped decoding')
        ms.push(clock(threads) - from)
      }
      return ms
    },
    dispose: () => context.dispose(),
  }
}
