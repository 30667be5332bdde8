/** A model whose weights are in memory: what everything that reads tokens works on. */
import { ZslabError } from './errors.js'
import { integer, invalid } from './expect.js'
import type { ModelDescription, ModelFile, Tokenizer } from './model/index.js'
import { native, type NativeModel } from './native/binding.js'
import type { Engine } from './native/engine.js'
import { sizeText } from './show/texts.js'

export const WEIGHTS = ['file', 'float32', 'bfloat16'] as const
/** How a model's weights are held; see LoadOptions. */
export type Weights = (typeof WEIGHTS)[number]

/** Of a loaded model's weights. */
export interface HeldWeights {
  bytes: number
  /** Bytes of the matrices by type: Q4_1, Q8_0, F16 …; norms are float32. */
  types: Record<string, number>
  /** They are a file in the cache folder that is mapped: processes with the same model share its memory. */
  mapped: boolean
  /** Where that was wanted and could not be: the reason, and what to do, in a sentence; else ''. */
  why: string
  /** What multiplies up to 24 rows (tokens of a decode step, forks, batches), in words; its sums have one order on every CPU. */
  rows: string
  /** What multiplies more (prompts), in words: by CPU features and build, the same for any number of threads. */
  prompts: string
}

export type TextOrIds = string | ArrayLike<number>

function heldBy(held: HeldWeights): HeldWeights {
  if (!held.why) return held
  const where = held.mapped ? 'and the next load packs them again' : 'so they are in memory of this process alone'
  const why = `packed weights could not be kept (${held.why}), ${where}: expected a cache folder that may be written, with ${sizeText(held.bytes)} free; make it so, or set ZSLAB_CACHE to another`
  return { ...held, why }
}

export class LoadedModel {
  private handle: NativeModel | undefined
  /** What is held, and what multiplies it. */
  readonly held: HeldWeights

  constructor(
    readonly file: ModelFile,
    readonly engine: Engine,
    /** How the weights are held. */
    readonly weights: Weights,
    handle: NativeModel,
  ) {
    this.handle = handle
    this.held = heldBy(JSON.parse(native().modelDescribe(handle)) as HeldWeights)
  }

  get name(): string {
    return this.file.name
  }

  /** Layers, heads, kvHeads, headDim, vocabulary, context … */
  get description(): ModelDescription {
    return this.file.description
  }

  get tokenizer(): Tokenizer {
    return this.file.tokenizer
  }

  get native(): NativeModel {
    if (this.handle) return this.handle
    throw new ZslabError('invalid', `the model ${this.name} was disposed: load it again`)
  }

  /** Weights as held in memory. */
  get bytes(): number {
    return this.held.bytes
  }

  /** Frees the weights (after calls under way). Its sessions can be read, but not go on. */
  dispose(): void {
    if (this.handle) native().modelDispose(this.handle)
    this.handle = undefined
  }
}

/** What a user gives for a model. Errors: 'invalid' for anything but what load() gave, and for a disposed one. */
export function usable(model: unknown): LoadedModel {
  if (!(model instanceof LoadedModel)) throw invalid('model', 'what load() gave', model)
  void model.native
  return model
}

/** Token ids of `textOrIds`, checked; those of a text that `begins` have the token that begins texts, where the model has one. */
export function idsOf(model: LoadedModel, textOrIds: TextOrIds, begins: boolean): Int32Array {
  if (typeof textOrIds === 'string') {
    const { tokenizer } = model
    const ids = tokenizer.encode(textOrIds)
    if (ids.length && begins && tokenizer.addBos && ids[0] !== tokenizer.bos)
      return Int32Array.from([tokenizer.bos!, ...ids])
    return ids
  }
  if (typeof textOrIds !== 'object' || textOrIds === null || typeof textOrIds.length !== 'number')
    throw invalid('the prompt', 'a text or an array of token ids', textOrIds)
  const { vocabulary } = model.description
  return Int32Array.from(textOrIds, (id, i) => integer(`token ${i}`, id, 0, vocabulary - 1))
}
