/** load() and sessions: what users do wrong is told in a sentence, before anything is allocated where that is possible. */
import assert from 'node:assert/strict'
import { truncateSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before } from 'mocha'
import { encodeGguf, type TensorData } from '../../scripts/gguf-writer.js'
import { toyModel } from '../../scripts/make-toy-model.js'
import { decode, encode } from '../../scripts/quants.js'
import { load, zsmerge, type LoadOptions, type Model } from '../../src/index.js'
import { ZslabError, type ErrorCode } from '../../src/errors.js'
import { TENSOR_TYPES } from '../../src/model/gguf.js'
import { ownFolder, toyPath, written } from './model/files.js'

const fails = (work: Promise<unknown>, code: ErrorCode, ...says: RegExp[]) =>
  assert.rejects(work, (error: Error) => {
    assert.ok(error instanceof ZslabError, String(error))
    assert.equal(error.code, code, error.message)
    for (const words of says) assert.match(error.message, words)
    assert.ok(!error.message.includes('\n'), error.message)
    return true
  })

describe('load', () => {
  const folder = ownFolder()
  const quiet = { progress: false }

  it('refuses wrong options', async () => {
    const wrong: [unknown, RegExp][] = [
      [null, /expected an object for load but received null/],
      [{ weight: 'float32' }, /load has no option "weight", did you mean 'weights'\?/],
      [{ weights: 'int4' }, /expected one of 'file', 'float32', 'bfloat16' for weights but received "int4"/],
      [{ threads: 0 }, /from 1 to 256 for threads but received 0/],
      [{ threads: NaN }, /for threads but received NaN/],
      [{ isa: 'sse' }, /one of 'best', 'generic', 'avx2', 'avx512' for isa but received "sse"/],
    ]
    for (const [options, says] of wrong) await fails(load(toyPath, options as LoadOptions), 'invalid', says)
  })

  it('says of a wrong file what it is and where', async () => {
    await fails(load('./nowhere.gguf', quiet), 'file', /nowhere\.gguf/)
    await fails(
      load(written(folder, 'text.gguf', Buffer.from('not a model at all, but a text')), quiet),
      'file',
      /text\.gguf/,
      /GGUF/,
    )
    await fails(load(written(folder, 'empty.gguf', Buffer.alloc(0)), quiet), 'file', /empty\.gguf/)
    const cut = join(folder, 'cut.gguf')
    copyFileSync(toyPath, cut)
    truncateSync(cut, 200_000)
    await fails(load(cut, quiet), 'file', /cut\.gguf/)
    await fails(load('no-such-model', quiet), 'invalid', /no-such-model/, /smollm2-135m/)
    await fails(load(7 as unknown as string, quiet), 'invalid', /7/)
  })

  it('stops when told to, and tells how far it is', async () => {
    await assert.rejects(load(toyPath, { signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' })
    const stages = new Set<string>()
    const model = await load(toyPath, { progress: ({ stage }) => stages.add(stage) })
    model.dispose()
    for (const stage of stages) assert.equal(typeof stage, 'string')
  })

  it('widens blocks of every type: the same logits as from a file of the widened values, bit for bit', async () => {
    const types = Object.keys(TENSOR_TYPES).map(Number)
    const { metadata, tensors } = toyModel({ layers: 2, heads: 2, kvHeads: 1, headDim: 128, feedForward: 512, types })
    assert.deepEqual(new Set(tensors.map(({ type }) => type)), new Set(types))
    const widened = tensors.map((tensor): TensorData => {
      const data = encode(0, decode(tensor.type, tensor.data))
      return { ...tensor, type: 0, data, bytes: data.length }
    })
    const logits = []
    for (const [name, list] of Object.entries({ 'blocks.gguf': tensors, 'widened.gguf': widened })) {
      const path = written(folder, name, encodeGguf(metadata, list))
      const model = await load(path, { ...quiet, weights: 'float32' })
      const session = model.session()
      logits.push(await session.prefill('it was the best of times, it was the worst of times'), await session.step(5))
      model.dispose()
    }
    assert.ok(logits[0].every(Number.isFinite))
    assert.deepEqual(logits.slice(0, 2), logits.slice(2))
  })
})

describe('a session', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
  })
  after(() => model?.dispose())

  it('refuses wrong prompts', async () => {
    const { vocabulary, context } = model.description
    for (const [prompt, says] of [
      ['', /the prompt is empty/],
      [[], /the prompt is empty/],
      [[1, vocabulary], new RegExp(`from 0 to ${vocabulary - 1} for token 1 but received ${vocabulary}`)],
      [[1.5], /for token 0 but received 1.5/],
      [[NaN], /for token 0 but received NaN/],
      [['a'], /for token 0 but received "a"/],
      [7, /a text or an array of token ids for the prompt but received 7/],
      [null, /for the prompt but received null/],
      [Array.from({ length: context + 3 }, () => 1), /holds \d+: shorten it by 3 tokens/],
    ] as [string, RegExp][]) {
      const session = model.session()
      await fails(session.prefill(prompt), 'invalid', says)
      assert.equal(session.seqLen, 0)
      session.dispose()
    }
  })

  it('refuses wrong options and a wrong order', async () => {
    assert.throws(() => model.session({ polcy: 1 } as object), {
      code: 'invalid',
      message: /session has no option "polcy"/,
    })
    assert.throws(() => model.session({ policy: zsmerge(), forkable: true }), {
      code: 'invalid',
      message: /forkable: true is for the full cache/,
    })
    assert.throws(() => model.session({ storage: 'int8' as 'float32' }), { code: 'invalid', message: /for storage/ })
    const session = model.session()
    await fails(session.step(1), 'invalid', /prefill a prompt before the first step/)
    await fails(Promise.resolve(session.generate()), 'invalid', /empty/)
    await session.prefill('some words')
    await fails(session.prefill('again'), 'invalid', /has read \d+ tokens already: use append\(\)/)
    await fails(session.restore({} as never), 'invalid', /a snapshot of this session/)
    const before = session.seqLen
    await fails(session.append([-1]), 'invalid', /token 0 but received -1/)
    assert.equal(session.seqLen, before)
    session.dispose()
    await fails(session.append('more'), 'invalid', /this session was disposed/)
  })

  it('refuses a budget that does not fit the prompt, naming the numbers', async () => {
    const session = model.session({ policy: zsmerge({ budget: 4, recent: 4, residual: 2 }) })
    await fails(session.prefill('it was the best of times, it was the worst of times'), 'invalid', /budget/, /4/, /2/)
    session.dispose()
  })

  it('of a disposed model can be read, but does not go on', async () => {
    const own = await load(toyPath, { progress: false })
    const session = own.session()
    await session.prefill('some words')
    own.dispose()
    assert.ok(session.receipt().ok)
    await fails(session.append('more'), 'invalid', /was disposed: load it again/)
    assert.throws(() => own.session(), { code: 'invalid', message: /was disposed: load it again/ })
  })
})
