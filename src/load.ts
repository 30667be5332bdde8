/** load(): from a name or path to a model whose weights are in memory, ready for sessions. */
import { callOptions, oneOf } from './expect.js'
import { WEIGHTS, type Weights } from './loaded-model.js'
import { openModelFile, packedPath, type FetchProgress } from './model/index.js'
import { native } from './native/binding.js'
import { withCall } from './native/call.js'
import { ENGINE_OPTIONS, engineOf, STORAGES, type EngineOptions } from './native/engine.js'
import { guarded } from './long-work.js'
import { bar, interruptible } from './progress.js'
import { madeBy, Place, Recipe } from './recipe/recipe.js'
import { Model } from './session.js'

export interface LoadOptions extends EngineOptions {
  /**
   * How weights are held. 'file' (default): as the file has them, each widened exactly to float32 as it is multiplied, so that results are as
   * good as with 'float32' at a fraction of the bytes, all of which a token reads; packed once into a file of the cache folder that is mapped
   * (model.held says so, or why not). 'bfloat16' (default on a device, which cannot multiply a file's blocks): rounded to it; where the CPU multiplies
   * it faster than float32 (docs/products.md) prompts of more than 24 tokens are rounded as well and take half as long.
   */
  weights?: Weights
  /** Stops fetching and loading. */
  signal?: AbortSignal
  /**
   * false: no bar. A function is called instead of drawing one, with bytes done and in all. Stages: those of fetching a named model, 'hashing'
   * (weights 'file' of a path that has not been loaded before: its SHA-256, by which its packed weights are found), 'loading'.
   */
  progress?: boolean | ((progress: { stage: string; done: number; total: number }) => void)
  /** Never fetch (default: the variable ZSLAB_OFFLINE). */
  offline?: boolean
}

/** ZS_WEIGHTS_FILE of native/include/zslab/model.h. */
const WEIGHTS_FILE = -1
const NAMES = ['weights', ...ENGINE_OPTIONS, 'offline']

/**
 * The model called `nameOrPath`: a name of the catalogue (fetched once into the cache folder) or the path of a GGUF file.
 * Errors: 'invalid', 'file', 'source', 'unsupported', 'memory', 'native'; the signal's reason when aborted.
 */
export async function load(nameOrPath: string, options: LoadOptions = {}): Promise<Model> {
  callOptions('load', options, NAMES)
  const asked = options.weights === undefined ? undefined : oneOf('weights', options.weights, WEIGHTS)
  const engine = engineOf(options)
  const weights = asked ?? (engine.info.device.kind === 'cpu' ? 'file' : 'bfloat16')
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
    // Of the catalogue, as its hash is known.
    const called = file.hash === undefined ? new Place(file.path) : nameOrPath
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
      weights: weights === 'file' ? WEIGHTS_FILE : STORAGES.indexOf(weights),
    }
    const hashed = { signal, progress: (done: number, total: number) => void report('hashing', done, total) }
    const packed = weights === 'file' ? await packedPath(file, hashed) : undefined
    const loading = { signal, progress: (p: { done: number; total: number }) => report('loading', p.done, p.total) }
    const handle = await withCall(loading, (call) =>
      native().modelLoad(engine.native, file.gguf.paths, { ...config, packed }, file.gguf.tensors, call),
    )
    const model = new Model(file, engine, weights, handle)
    madeBy(model, () => Recipe.of('load', [called, { weights }], { sha256: file.hash }))
    if (told.thrown.aborted) model.dispose()
    told.thrown.throwIfAborted()
    return model
  } finally {
    drawn.stop()
  }
}
