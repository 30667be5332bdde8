/** The tokenizer: the golden ids of the default model, decoding by bytes, each pre-tokenizer's rules, vocabularies that do not fit. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { byteCharacters, toyModel, toyVocabulary } from '../../../scripts/make-toy-model.js'
import type { GgufFile, MetadataValue } from '../../../src/model/gguf.js'
import { readGguf } from '../../../src/model/gguf-parts.js'
import { PRE_TOKENIZERS } from '../../../src/model/pre-tokenizers.js'
import { tokenizerOf, type Tokenizer } from '../../../src/model/tokenizer.js'
import { defaultModel } from './default-model.js'
import { draws, goldenPath, toyPath } from './files.js'
import { cases } from '../../scale.js'

interface Golden {
  encode: { text: string; ids: number[] }[]
  encodeSpecialAsText: { text: string; ids: number[] }[]
  chat: { text: string; ids: number[] }[]
  specialIds: number[]
}
const golden = JSON.parse(readFileSync(goldenPath('smollm2_tokens.json'), 'utf8')) as Golden

/** The toy's metadata with changes, as readGguf would give it. */
function toyWith(changes: Record<string, MetadataValue | undefined>): GgufFile {
  const metadata = Object.fromEntries(
    toyModel({ layers: 1 }).metadata.map(({ key, value }) => [key, value as MetadataValue]),
  )
  for (const [key, value] of Object.entries(changes))
    if (value === undefined) delete metadata[`tokenizer.ggml.${key}`]
    else metadata[`tokenizer.ggml.${key}`] = value
  return { path: '/a/toy.gguf', paths: ['/a/toy.gguf'], bytes: 0, version: 3, metadata, tensors: [] }
}

/** A vocabulary of bytes and `words`, each made by merges from the left. */
function tokenizerWith(pre: string | undefined, words: string[], more: Record<string, MetadataValue> = {}): Tokenizer {
  const tokens = byteCharacters()
  const merges: string[] = []
  for (const word of words)
    for (let end = 2; end <= word.length; end++)
      if (!tokens.includes(word.slice(0, end))) {
        tokens.push(word.slice(0, end))
        merges.push(`${word.slice(0, end - 1)} ${word[end - 1]}`)
      }
  return tokenizerOf(toyWith({ pre, tokens, merges, token_type: tokens.map(() => 1), add_bos_token: false, ...more }))
}

const pieces = (tokenizer: Tokenizer, text: string) => Array.from(tokenizer.encode(text), (id) => tokenizer.token(id))

describe("the default model's tokenizer", function () {
  this.timeout(180_000)
  let tokenizer: Tokenizer
  before(async () => {
    tokenizer = tokenizerOf(await readGguf((await defaultModel()).path))
  })

  it('gives the golden ids of every text', () => {
    for (const { text, ids } of golden.encode)
      assert.deepEqual(Array.from(tokenizer.encode(text)), ids, JSON.stringify(text))
  })
  it('gives the golden ids with special tokens as plain text', () => {
    for (const { text, ids } of golden.encodeSpecialAsText)
      assert.deepEqual(Array.from(tokenizer.encode(text, { special: false })), ids, JSON.stringify(text))
  })
  it('gives the golden ids of chats', () => {
    for (const { text, ids } of golden.chat)
      assert.deepEqual(Array.from(tokenizer.encode(text)), ids, JSON.stringify(text))
  })
  it('decodes the golden ids to the very text', () => {
    for (const { text, ids } of [...golden.encode, ...golden.encodeSpecialAsText, ...golden.chat])
      assert.equal(tokenizer.decode(ids), text)
  })
  it('knows its special tokens and where texts end', () => {
    const special = Array.from({ length: tokenizer.vocabulary }, (_, id) => id).filter((id) => tokenizer.isSpecial(id))
    assert.deepEqual(special, golden.specialIds)
    assert.deepEqual(
      [tokenizer.vocabulary, tokenizer.eos, tokenizer.bos, tokenizer.addBos, [...tokenizer.ends]],
      [49152, 2, 1, false, [2]],
    )
    assert.equal(tokenizer.idOf('<|im_end|>'), 2)
    assert.equal(tokenizer.decode([1, 19556, 2], { skipSpecial: true }), 'Hello')
  })
  it('says which byte its vocabulary lacks instead of dropping it', () => {
    assert.throws(() => tokenizer.encode('a\u0004b'), { code: 'unsupported', message: /no token for byte 0x4/ })
  })
})

describe('a tokenizer', function () {
  this.timeout(300_000)
  let toy: Tokenizer
  before(async () => {
    toy = tokenizerOf(await readGguf(toyPath))
  })

  it('decodes what it encoded, whatever the text', () => {
    const draw = draws(11)
    const alphabet = [
      ...'aehinrst  ,.\n\t0159é',
      'e\u0301',
      '\ufeff',
      '\u0000',
      '\u0085',
      '京',
      'я',
      '🙂',
      '👩‍🚀',
      'the ',
      ' and',
      '<|im_end|>',
      '<note>',
      '<|',
      '|>',
    ]
    for (let n = 0; n < cases(20_000, 1000); n++) {
      const text = Array.from({ length: draw(24) }, () => alphabet[draw(alphabet.length)]).join('')
      for (const special of [true, false]) {
        const ids = toy.encode(text, { special })
        assert.equal(toy.decode(ids), text)
        const stream = toy.stream()
        const streamed = Array.from(ids, (id) => stream.push(id))
        for (const part of streamed) assert.ok(!part.includes('\ufffd'), JSON.stringify(text))
        assert.equal(streamed.join('') + stream.end(), text)
        if (!special) assert.ok(!ids.includes(toy.idOf('<|im_end|>')!), 'control tokens are plain text')
      }
    }
  })

  it('streams any bytes as it decodes them, in whole characters', () => {
    const draw = draws(12)
    for (let n = 0; n < cases(20_000, 1000); n++) {
      const ids = Array.from({ length: draw(12) }, () => draw(toy.vocabulary))
      const bytes = Buffer.concat(ids.map((id) => toy.bytesOf(id)))
      const stream = toy.stream()
      const text = ids.map((id) => stream.push(id)).join('') + stream.end()
      assert.equal(text, new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))
      assert.equal(text, toy.decode(ids))
    }
    const stream = toy.stream()
    const [a, b, c, d] = toy.encode('👩')
    assert.deepEqual(
      [stream.push(a), stream.push(b), stream.push(c), d === undefined ? '' : stream.push(d)].join(''),
      '👩',
    )
    stream.push(toy.encode('я')[0])
    assert.equal(stream.end(), '\ufffd', 'an unfinished character shows at the end')
    assert.equal(stream.push(toy.encode('x')[0]), 'x', 'and is forgotten')
  })

  it('keeps user-defined tokens whole and control tokens by choice', () => {
    assert.deepEqual(Array.from(toy.encode('<note>', { special: false })), [3])
    assert.deepEqual(Array.from(toy.encode('<|im_end|>')), [2])
    assert.ok(toy.encode('<|im_end|>', { special: false }).length > 3)
    assert.equal(toy.isSpecial(3), false)
    assert.equal(toy.token(2), '<|im_end|>')
  })

  it('merges as the ranks say, leftmost first', () => {
    const { tokens } = toyVocabulary()
    assert.deepEqual(
      Array.from(toy.encode(' the and'), (id) => tokens[id]),
      ['Ġthe', 'Ġand'],
    )
    assert.deepEqual(pieces(tokenizerWith('gpt-2', ['aa']), 'aaaaa'), ['aa', 'aa', 'a'])
  })

  it('refuses what is no text, no id, no option', () => {
    assert.throws(() => toy.encode(7 as never), {
      code: 'invalid',
      message: /expected a string for text but received 7/,
    })
    assert.throws(() => toy.encode('x', { specials: true } as never), {
      code: 'invalid',
      message: /did you mean 'special'/,
    })
    for (const id of [-1, 319, 0.5, NaN])
      assert.throws(() => toy.decode([id]), { code: 'invalid', message: /token id/ })
    assert.throws(() => toy.decode(undefined as never), { code: 'invalid', message: /array of token ids/ })
  })
})

describe('a pre-tokenizer', () => {
  // Each word below is one token if, and only if, the rules leave it in one piece.
  const text = "Don'T x=1234 a\n\n b  c³!\n"
  const words = [
    "Don'T",
    'Don',
    "'T",
    "'t",
    'Ġx',
    'Ġx=',
    '=1',
    '1234',
    'Ġ1234',
    '123',
    '12',
    'ĊĊ',
    'ĊĊĠ',
    'Ġb',
    'ĠĠ',
    'ĠĠc',
    'Ġc',
    'cÂ',
    'cÂ³',
    'Â³',
    '!Ċ',
    'Ġa',
    'aĊ',
  ]
  const expected: Record<string, string[]> = {
    'gpt-2': ['Don', "'", 'T', ' x', '=', '1234', ' a', '\n\n', ' b', ' ', ' c', '³', '!', '\n'],
    smollm: ['Don', "'", 'T', ' x', '=', '1', '2', '3', '4', ' a', '\n\n', ' b', ' ', ' c', '³', '!', '\n'],
    'llama-bpe': ['Don', "'T", ' x', '=', '123', '4', ' a', '\n\n', ' b', ' ', ' c', '³', '!\n'],
    qwen2: ['Don', "'T", ' x', '=', '1', '2', '3', '4', ' a', '\n\n', ' b', ' ', ' c', '³', '!\n'],
    default: ['Don', "'", 'T', ' x', '=', '123', '4', ' a', '\n\n', ' b', ' ', ' c', '³', '!', '\n'],
  }
  for (const [pre, wanted] of Object.entries(expected))
    it(`${pre} cuts as its model's own tokenizer does`, () =>
      assert.deepEqual(pieces(tokenizerWith(pre, words), text), wanted))

  it('that is not named is the default one', () => {
    assert.deepEqual(pieces(tokenizerWith(undefined, words), text), expected.default)
  })
  it('llama-bpe takes a whole piece that is a token, merges or not, and begins with bos', () => {
    const { tokens, types } = toyVocabulary()
    const gguf = { tokens: [...tokens, 'Ġqwzx'], token_type: [...types, 1] }
    assert.deepEqual(pieces(tokenizerOf(toyWith({ ...gguf, pre: 'llama-bpe' })), ' qwzx'), [' qwzx'])
    assert.deepEqual(pieces(tokenizerOf(toyWith({ ...gguf, pre: 'gpt-2' })), ' qwzx').join('|'), ' |q|w|z|x')
    assert.equal(tokenizerOf(toyWith({ pre: 'llama-bpe', add_bos_token: undefined })).addBos, true)
    assert.equal(tokenizerOf(toyWith({ pre: 'smollm', add_bos_token: undefined })).addBos, false)
  })
  it('qwen2 composes characters first', () => {
    assert.equal(tokenizerWith('qwen2', []).decode(tokenizerWith('qwen2', []).encode('e\u0301')), '\u00e9')
  })
  it('has patterns that JavaScript can compile', () => {
    for (const { patterns } of Object.values(PRE_TOKENIZERS)) for (const p of patterns) new RegExp(p, 'gu')
  })
})

describe('a tokenizer that does not fit is refused', () => {
  const { tokens, types, merges } = toyVocabulary()
  const refusals: [string, Record<string, MetadataValue | undefined>, string, RegExp][] = [
    ['another kind', { model: 'llama' }, 'unsupported', /kind "llama".*'gpt2'/],
    ['no kind', { model: undefined }, 'file', /no metadata tokenizer.ggml.model/],
    ['an unknown pre-tokenizer', { pre: 'tekken' }, 'unsupported', /"tekken".*smollm/],
    ['a prototype for a name', { pre: 'constructor' }, 'unsupported', /"constructor"/],
    ['no tokens', { tokens: undefined }, 'file', /no metadata tokenizer.ggml.tokens/],
    ['an empty vocabulary', { tokens: [], token_type: [] }, 'file', /empty vocabulary/],
    ['tokens that are numbers', { tokens: [1, 2] }, 'file', /array of strings/],
    ['too few types', { token_type: types.slice(1) }, 'file', /318 token types for 319 tokens/],
    ['a token twice', { tokens: tokens.with(300, 'a') }, 'file', /the token "a" as/],
    ['a merge of three', { merges: [...merges, 'a b c'] }, 'file', /merge 59 "a b c"/],
    ['a merge into no token', { merges: [...merges, 'q z'] }, 'file', /"qz", which is no token/],
    ['an eos outside', { eos_token_id: 319 }, 'file', /eos_token_id = 319.*from 0 to 318/],
    [
      'a bos that is asked for and missing',
      { bos_token_id: undefined, add_bos_token: true },
      'file',
      /without bos_token_id/,
    ],
    [
      'endless control tokens',
      { tokens: tokens.with(0, 'x'.repeat(2 ** 18)) },
      'file',
      /control tokens of \d+ characters/,
    ],
  ]
  for (const [what, changes, code, message] of refusals)
    it(what, () => assert.throws(() => tokenizerOf(toyWith(changes)), { name: 'ZslabError', code, message }))

  it('but odd names of tokens are fine', () => {
    const odd = tokenizerOf(
      toyWith({ tokens: tokens.with(0, '__proto__').with(1, '').with(310, '77'), merges: merges.slice(0, 10) }),
    )
    assert.deepEqual(Array.from(odd.encode('__proto__')), [0])
    assert.equal(odd.decode(odd.encode('77 text')), '77 text')
  })
})
