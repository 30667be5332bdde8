/**
 * Byte-level BPE built from GGUF metadata: the library encodes, this file checks the vocabulary first, decodes by bytes (exactly,
 * also across tokens that split a character) and knows which tokens are special.
 */
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { invalid, integer, options as checked, text as textOf } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import type { GgufFile } from './gguf.js'
import { flagOf, wholeOf, wholesOf, wordOf, wordsOf } from './metadata.js'
import { PRE_TOKENIZERS, type PreTokenizer } from './pre-tokenizers.js'
import { showsItself } from '../show/show.js'
import { tokenizerText } from '../show/file-texts.js'

export interface Tokenizer {
  /** Tokens, with the model's padding: ids are 0 … vocabulary − 1. */
  readonly vocabulary: number
  /** The token that ends a text; undefined where the file names none. */
  readonly eos: number | undefined
  /** Every token that ends a turn or a text (eos, end of turn). */
  readonly ends: ReadonlySet<number>
  readonly bos: number | undefined
  /** Whether a prompt starts with `bos`; encode never adds it. */
  readonly addBos: boolean
  /**
   * Token ids of `text`. special (default true): control tokens written out in the text, like <|im_end|>, become their tokens;
   * false: they are plain text. Errors: 'invalid' (no string), 'unsupported' (a byte that the vocabulary lacks).
   */
  encode(text: string, options?: { special?: boolean }): Int32Array
  /** The text of `ids`; bytes that are no UTF-8 become U+FFFD. skipSpecial (default false) leaves control tokens out. */
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string
  /** A decoder for tokens as they come: never a broken character, and all pieces together equal decode(). */
  stream(options?: { skipSpecial?: boolean }): TextStream
  /** One token as text; part of a character becomes U+FFFD. */
  token(id: number): string
  /** The bytes that one token stands for. */
  bytesOf(id: number): Uint8Array
  /** The id of a control or user-defined token such as <|im_end|>, else undefined. */
  idOf(special: string): number | undefined
  isSpecial(id: number): boolean
}

const MAX_SPECIAL_CHARACTERS = 2 ** 18
const [UNKNOWN, CONTROL, USER_DEFINED] = [2, 3, 4]

/** Byte → the printable character that stands for it in byte-level vocabularies, and back. */
const BYTE_CHARACTERS: string[] = []
const BYTE_OF = new Map<string, number>()
for (let byte = 0, next = 256; byte < 256; byte++) {
  const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  BYTE_CHARACTERS[byte] = String.fromCharCode(printable ? byte : next++)
  BYTE_OF.set(BYTE_CHARACTERS[byte], byte)
}

interface Vocabulary {
  tokens: string[]
  types: number[]
  merges: [string, string][]
}

/**
 * The tokenizer that `gguf` describes.
 * Errors: 'unsupported' (another tokenizer model, an unknown pre-tokenizer), 'file' (tokens, types or merges that do not fit).
 */
export function tokenizerOf(gguf: GgufFile): Tokenizer {
  const model = wordOf(gguf, 'tokenizer.ggml.model')
  if (model !== 'gpt2')
    throw new ZslabError(
      'unsupported',
      `${gguf.path} has a tokenizer of kind ${shown(model)}; byte-level BPE ('gpt2') is supported so far`,
    )
  const name = wordOf(gguf, 'tokenizer.ggml.pre', 'default')
  if (!Object.hasOwn(PRE_TOKENIZERS, name))
    throw new ZslabError(
      'unsupported',
      `${gguf.path} names the pre-tokenizer ${shown(name)}; known are ${Object.keys(PRE_TOKENIZERS).join(', ')}: pass token ids instead of text, or use another model`,
    )
  return new BytePairTokenizer(gguf, vocabularyOf(gguf), PRE_TOKENIZERS[name])
}

function vocabularyOf(gguf: GgufFile): Vocabulary {
  const tokens = wordsOf(gguf, 'tokenizer.ggml.tokens')
  if (tokens.length === 0) throw fault(gguf, 'an empty vocabulary', 'tokens in tokenizer.ggml.tokens')
  const types = wholesOf(gguf, 'tokenizer.ggml.token_type', Array(tokens.length).fill(1))
  if (types.length !== tokens.length)
    throw fault(gguf, `${types.length} token types for ${tokens.length} tokens`, 'one each')
  const ids = new Map<string, number>()
  tokens.forEach((token, id) => {
    const other = ids.get(token)
    if (other !== undefined) throw fault(gguf, `the token ${shown(token)} as ${other} and as ${id}`, 'every token once')
    ids.set(token, id)
  })
  const special = tokens.reduce((n, token, id) => (isSpecialType(types[id]) ? n + token.length : n), 0)
  if (special > MAX_SPECIAL_CHARACTERS)
    throw fault(gguf, `control tokens of ${special} characters together`, `at most ${MAX_SPECIAL_CHARACTERS}`)
  const merges = wordsOf(gguf, 'tokenizer.ggml.merges').map((merge, rank): [string, string] => {
    const [left, right, more] = merge.split(' ')
    if (!left || !right || more !== undefined)
      throw fault(gguf, `merge ${rank} ${shown(merge)}`, 'two tokens with one space between')
    // The library drops text silently where a merge makes something that is no token.
    for (const part of [left, right, left + right])
      if (!ids.has(part))
        throw fault(
          gguf,
          `merge ${rank} ${shown(merge)} of or into ${shown(part)}, which is no token`,
          'merges of tokens',
        )
    return [left, right]
  })
  return { tokens, types, merges }
}

const isSpecialType = (type: number) => type === UNKNOWN || type === CONTROL || type === USER_DEFINED

class BytePairTokenizer implements Tokenizer {
  readonly vocabulary: number
  readonly eos: number | undefined
  readonly bos: number | undefined
  readonly ends: ReadonlySet<number>
  readonly addBos: boolean
  private readonly path: string
  private readonly tokens: string[]
  private readonly control: Set<number>
  private readonly special: Map<string, number>
  private readonly missing: Set<number>
  private readonly withSpecial: LibraryTokenizer
  private readonly plain: LibraryTokenizer

  constructor(gguf: GgufFile, { tokens, types, merges }: Vocabulary, rules: PreTokenizer) {
    this.path = gguf.path
    this.tokens = tokens
    this.vocabulary = tokens.length
    const id = (key: string) =>
      gguf.metadata[`tokenizer.ggml.${key}`] === undefined
        ? undefined
        : wholeOf(gguf, `tokenizer.ggml.${key}`, 0, tokens.length - 1)
    this.eos = id('eos_token_id')
    this.bos = id('bos_token_id')
    const named = [this.eos, id('eot_token_id'), id('eom_token_id')].filter((n): n is number => n !== undefined)
    this.ends = new Set(named)
    this.addBos = flagOf(gguf, 'tokenizer.ggml.add_bos_token', rules.addBos ?? false)
    if (this.addBos && this.bos === undefined)
      throw fault(gguf, 'add_bos_token without bos_token_id', 'the token to begin with')
    this.control = new Set([...named, ...(this.bos === undefined ? [] : [this.bos])])
    const userDefined: number[] = []
    types.forEach((type, i) => {
      if (type === CONTROL || type === UNKNOWN) this.control.add(i)
      if (type === USER_DEFINED) userDefined.push(i)
    })
    this.special = new Map([...this.control, ...userDefined].map((i) => [tokens[i], i]))
    const all = new Set(tokens)
    this.missing = new Set([...BYTE_OF].filter(([character]) => !all.has(character)).map(([, byte]) => byte))
    this.withSpecial = library(tokens, { tokens, merges }, rules, [...this.control, ...userDefined])
    // The second tokenizer differs only in what it takes for special; it shares the model and its cache.
    this.plain = library(tokens, { tokens: [], merges: [] }, rules, userDefined)
    this.plain.model = this.withSpecial.model
  }

  encode(text: string, options: { special?: boolean } = {}): Int32Array {
    textOf('text', text)
    checked('encode options', options, ['special'])
    if (text === '') return new Int32Array(0)
    const found = (options.special ?? true) ? this.withSpecial.encode(text) : this.plain.encode(text)
    if (found.ids.every((id: number | undefined) => id !== undefined)) return Int32Array.from(found.ids)
    const byte = new TextEncoder().encode(text + text.normalize()).find((b) => this.missing.has(b))
    throw new ZslabError(
      'unsupported',
      `${this.path}: its vocabulary has no token for byte 0x${byte?.toString(16)} of the text: leave the character out`,
    )
  }

  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    if (typeof ids !== 'object' || ids === null || typeof ids.length !== 'number')
      throw invalid('ids', 'an array of token ids', ids)
    const stream = this.stream(options)
    let text = ''
    for (let i = 0; i < ids.length; i++) text += stream.push(ids[i])
    return text + stream.end()
  }

  stream(options: { skipSpecial?: boolean } = {}): TextStream {
    checked('decode options', options, ['skipSpecial'])
    return new TextStream(this, options.skipSpecial ?? false)
  }

  token(id: number): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this.bytesOf(id))
  }

  bytesOf(id: number): Uint8Array {
    integer('token id', id, 0, this.vocabulary - 1)
    const token = this.tokens[id]
    if (this.special.has(token)) return new TextEncoder().encode(token)
    const bytes: number[] = []
    for (const character of token) {
      const byte = BYTE_OF.get(character)
      if (byte !== undefined) bytes.push(byte)
      else bytes.push(...new TextEncoder().encode(character))
    }
    return Uint8Array.from(bytes)
  }

  idOf(special: string): number | undefined {
    return this.special.get(special)
  }

  isSpecial(id: number): boolean {
    return this.control.has(id)
  }
}
showsItself(BytePairTokenizer.prototype, tokenizerText)

/** Turns tokens into text as they come; see Tokenizer.stream. */
export class TextStream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly skipSpecial: boolean,
  ) {}

  /** The characters that token `id` completes; '' while one is unfinished. */
  push(id: number): string {
    if (this.skipSpecial && this.tokenizer.isSpecial(id)) return ''
    return this.decoder.decode(this.tokenizer.bytesOf(id), { stream: true })
  }

  /** What is left: U+FFFD for an unfinished character. The stream may then be used anew. */
  end(): string {
    return this.decoder.decode()
  }
}

/** The library's tokenizer over this vocabulary; an unknown token that no text can hold makes it report what it lacks. */
function library(
  names: string[],
  model: { tokens: string[]; merges: [string, string][] },
  rules: PreTokenizer,
  added: number[],
): LibraryTokenizer {
  // No prototype: a token may be called __proto__.
  const vocab: Record<string, number> = Object.create(null)
  model.tokens.forEach((token, id) => (vocab[token] = id))
  return new LibraryTokenizer(
    {
      version: '1.0',
      normalizer: rules.composed ? { type: 'NFC' } : null,
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          ...rules.patterns.map((Regex) => ({
            type: 'Split',
            pattern: { Regex },
            behavior: 'Isolated',
            invert: false,
          })),
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
      post_processor: null,
      decoder: null,
      model: {
        type: 'BPE',
        vocab,
        merges: model.merges,
        unk_token: '\u0000',
        ignore_merges: rules.ignoreMerges ?? false,
      },
      added_tokens: added.map((id) => ({ id, content: names[id], special: true, normalized: false })),
    },
    {},
  )
}

function fault(gguf: GgufFile, found: string, expected: string): ZslabError {
  return new ZslabError(
    'file',
    `${gguf.path}: found ${found}, expected ${expected}: the file is damaged; download or convert it again`,
  )
}
