/** A model's file with everything that TypeScript knows of it: shape, tokenizer, chat template, hash; the weights stay on disk. */
import { ZslabError } from '../errors.js'
import { showsItself } from '../show/show.js'
import { descriptionText, fileText } from '../show/file-texts.js'
import { describe, type ModelDescription } from './architectures.js'
import { renderChat, type ChatOptions, type Message } from './chat.js'
import { fileHash } from './file-hash.js'
import type { GgufFile } from './gguf.js'
import { readGguf } from './gguf-parts.js'
import { locate, type LocateOptions } from './sources.js'
import { tokenizerOf, type Tokenizer } from './tokenizer.js'

export type { ModelDescription } from './architectures.js'
export type { ChatOptions, Message } from './chat.js'
export type { GgufFile, GgufTensor } from './gguf.js'
export type { FetchProgress, LocateOptions } from './sources.js'
export type { TextStream, Tokenizer } from './tokenizer.js'
export { packedPath } from './packed.js'
export { cacheClear, cacheFolder, cacheList } from './sources.js'

export interface ModelFile {
  /** As the user gave it. */
  name: string
  /** Absolute. */
  path: string
  gguf: GgufFile
  description: ModelDescription
  license: string | undefined
  /** Made on first use (0.3 s for 49,152 tokens); throws where the file's tokenizer is not supported. */
  readonly tokenizer: Tokenizer
  /** Messages → prompt, by the file's own template. */
  chat(messages: readonly Message[], options?: ChatOptions): Promise<string>
  /** SHA-256 of the file (of a split model's files one after another) in hex; read once, known beforehand for models that have a name. */
  sha256(options?: {
    progress?: (done: number, total: number) => void
    signal?: AbortSignal
    /** What it is, from whoever has it from elsewhere: nothing is read. */
    known?: string
  }): Promise<string>
  /** The same where it is known by now. */
  readonly hash: string | undefined
}

/**
 * Finds `nameOrPath` (fetching a named model where needed), reads and checks its header.
 * Errors: those of locate, readGguf and describe; each names the file.
 */
export async function openModelFile(nameOrPath: string, options: LocateOptions = {}): Promise<ModelFile> {
  const located = await locate(nameOrPath, options)
  const gguf = await readGguf(located.path)
  const description = showsItself(describe(gguf), descriptionText)
  const license = gguf.metadata['general.license']
  let tokenizer: Tokenizer | undefined
  let hash = located.sha256
  const file: ModelFile = {
    name: nameOrPath,
    path: gguf.path,
    gguf,
    description,
    license: located.license ?? (typeof license === 'string' ? license : undefined),
    get tokenizer() {
      return (tokenizer ??= checkedTokenizer(gguf, description))
    },
    chat: (messages, chatOptions) => renderChat(gguf, messages, chatOptions),
    sha256: async (hashOptions) => (hash ??= hashOptions?.known ?? (await fileHash(gguf.paths, hashOptions))),
    get hash() {
      return hash
    },
  }
  return showsItself(file, fileText)
}

/** Every id that the tokenizer gives must have a row in the embedding. */
function checkedTokenizer(gguf: GgufFile, { vocabulary }: ModelDescription): Tokenizer {
  const tokenizer = tokenizerOf(gguf)
  if (tokenizer.vocabulary !== vocabulary)
    throw new ZslabError(
      'file',
      `${gguf.path}: found ${tokenizer.vocabulary} tokens in its tokenizer, expected ${vocabulary} as in its embedding: convert the model again`,
    )
  return tokenizer
}
