/**
 * How text is cut before byte-pair encoding, by the name that GGUF's tokenizer.ggml.pre gives. Each pattern in turn cuts the
 * pieces that the one before left; what a pattern does not match stays a piece. Only names whose rules are known exactly are here.
 */

export interface PreTokenizer {
  patterns: string[]
  /** A whole piece that is a token is taken as it is, merges or not. */
  ignoreMerges?: boolean
  /** Text is brought to Unicode's composed form first, as the model's own tokenizer does. */
  composed?: boolean
  /** Whether a beginning-of-text token goes first where the file does not say. */
  addBos?: boolean
}

const GPT2 = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

/** Contractions in either case, words with one leading sign, digits in groups, signs with the line ends after them, spaces. */
const newer = (digits: string) =>
  String.raw`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|` +
  digits +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`

const gpt2: PreTokenizer = { patterns: [GPT2] }
const singleDigits: PreTokenizer = { patterns: [String.raw`\p{N}`, GPT2] }
const llama3: PreTokenizer = { patterns: [newer(String.raw`\p{N}{1,3}`)], ignoreMerges: true, addBos: true }
const qwen2: PreTokenizer = { patterns: [newer(String.raw`\p{N}`)], composed: true }
/** What llama.cpp does with files that name none. */
const unnamed: PreTokenizer = {
  patterns: [String.raw`[\p{P}\$\+<=>\^~\|]+`, GPT2, String.raw`\p{N}+`, '[0-9][0-9][0-9]'],
}

export const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  default: unnamed,
  'gpt-2': gpt2,
  'phi-2': gpt2,
  smollm: singleDigits,
  starcoder: singleDigits,
  refact: singleDigits,
  codeshell: singleDigits,
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  qwen2,
  'deepseek-r1-qwen': qwen2,
}
