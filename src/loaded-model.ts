/** A model whose weights are in memory: what everything that reads tokens works on. */
import { ZslabError } from './errors.js'
import type { ModelDescription, ModelFile, Tokenizer } from './model/index.js'
import { native, type NativeModel } from './native/binding.js'
import type { Engine } from './native/engine.js'

export type Weights = 'float32' | 'bfloat16'

export class LoadedModel {
  private handle: NativeModel | undefined

  constructor(
    readonly file: ModelFile,
    readonly engine: Engine,
    /** How the weights are held. */
    readonly weights: Weights,
    handle: NativeModel,
  ) {
    this.handle = handle
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
    return native().modelBytes(this.native)
  }

  /** Frees the weights (after calls under way). Its sessions can be read, but not go on. */
  dispose(): void {
    if (this.handle) native().modelDispose(this.handle)
    this.handle = undefined
  }
}
