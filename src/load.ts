/** load(): from a name or path to a model whose weights are in memory, ready for sessions. */
import { callOptions, oneOf } from './expect.js'
import type { Weights } from './loaded-model.js'
import { openModelFile, type FetchProgress } from './model/index.js'
import { native } from './native/binding.js'
import { withCall } from './native/call.js'
import { ENGINE_OPTIONS, engineOf, STORAGES, type EngineOptions } from './native/engine.js'
import { guarded } from './long-work.js'
import { bar, interruptible } from './progress.js'
import { Model } from './session.js'

export interface LoadOptions extends EngineOptions {
  /**
   * How weights are held; default bfloat16: a token reads them all, so it takes half as long as with float32. Where the CPU multiplies
   * bfloat16 (avx512_bf16, amx) the rows of a prompt are rounded to it as well; elsewhere they stay float32 and weights are widened.
   */
  weights?: Weights
  /** Stops fetching and loading. */
  signal?: AbortSignal
  /** false: no bar. A function is called instead of drawing one. */
  progress?: boolean | ((progress: { stage: string; done: number; total: number }) => void)
  /** Never fetch (default: the variable ZSLAB_OFFLINE). */
  offline?: boolean
}

const NAMES = ['weights', ...ENGINE_OPTIONS, 'offline']

/**
 * The model called `nameOrPath`: a name of the catalogue (fetched once into the cache folder) or the path of a GGUF file.
 * Errors: 'invalid', 'file', 'source', 'unsupported', 'memory', 'native'; the signal's reason when aborted.
 */
export async function load(nameOrPath: string, options: LoadOptions = {}): Promise<Model> {
  callOptions('load', options, NAMES)
  const weights =
    options.weights === undefined ? 'bfloat16' : oneOf('weights', options.weights, ['float32', 'bfloat16'])
  const engine = engineOf(options)
  const drawn = bar('loading', options.progress === undefined || options.progress === true)
  const told = guarded(
    (stage: string, done: number, total: number) => {
      if (typeof options.progress === 'function') options.progress({ stage, done, total })
      else drawn.update(done, total, stage)
    },
    interruptible(options.signal),
    typeof options.progress === 'function',
  )
  const { signal, report } = told
  try {
    const fetched = (p: FetchProgress) => void report(p.stage, p.done, p.total)
    const file = await openModelFile(nameOrPath, { signal, progress: fetched, offline: options.offline })
    const d = file.description
    const config = {
      arch: d.archNumber,
      layers: d.layers,
      heads: d.heads,
      kvHeads: d.kvHeads,
      headDim: d.headDim,
      hidden: d.hidden,
      feedForward: d.feedForward,
      vocabulary: d.vocabulary,
      context: d.context,
      ropeDims: d.ropeDims,
      ropeBase: d.ropeBase,
      normEps: d.normEps,
      tiedOutput: d.tiedOutput ? 1 : 0,
      weights: STORAGES.indexOf(weights),
    }
    const loading = { signal, progress: (p: { done: number; total: number }) => report('loading', p.done, p.total) }
    const handle = await withCall(loading, (call) =>
      native().modelLoad(engine.native, file.gguf.paths, config, file.gguf.tensors, call),
    )
    const model = new Model(file, engine, weights, handle)
    if (told.thrown.aborted) model.dispose()
    told.thrown.throwIfAborted()
    return model
  } finally {
    drawn.stop()
  }
}
