/** Chats: however an answer ended, the next turn goes on, and is read once; what ends an answer. */
import assert from 'node:assert/strict'
import { after, before } from 'mocha'
import { encodeGguf } from '../../../scripts/gguf-writer.js'
import { toyModel } from '../../../scripts/make-toy-model.js'
import {
  fullCache,
  load,
  zsmerge,
  type GenerateOptions,
  type Model,
  type Run,
  type Session,
} from '../../../src/index.js'
import { ownFolder, toyPath, written } from '../model/files.js'

const user = (content: string) => ({ messages: [{ role: 'user', content }] })
const quiet = { progress: false } as const
const WILD = { temperature: 100, maxTokens: 2000, ...quiet } // nearly uniform: any token comes soon
const [EOT, END] = [0, 2] // <|endoftext|>, <|im_end|>
const FIRST = '<|im_start|>system\nA toy.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n'
const SECOND = '<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n'

describe('a conversation', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const models: Model[] = []
  let model: Model

  /** The toy with other metadata. */
  async function variant(name: string, changes: Record<string, string | number>): Promise<Model> {
    const { metadata, tensors } = toyModel()
    const changed = metadata.map((entry) =>
      entry.type !== 'array' && entry.key in changes ? { ...entry, value: changes[entry.key] } : entry,
    )
    const made = await load(written(folder, name, encodeGguf(changed, tensors)), { weights: 'float32', ...quiet })
    models.push(made)
    return made
  }

  before(async () => {
    model = await load(toyPath, { weights: 'float32', ...quiet })
    models.push(model)
  })
  after(() => models.forEach((one) => one.dispose()))

  const answered = (options: GenerateOptions) => (session: Session) => session.generate(user('One?'), options)
  async function leftEarly(session: Session): Promise<Run> {
    const generation = session.generate(user('One?'), { maxTokens: 500, ignoreEos: true, ...quiet })
    let seen = 0
    for await (const { id } of generation) if (id >= 0 && ++seen === 6) break
    return generation
  }
  function aborted(session: Session): Promise<Run> {
    const abort = new AbortController()
    const progress = (p: { stage: string; done: number }) => p.stage === 'decode' && p.done === 5 && abort.abort()
    return Promise.resolve(session.generate(user('One?'), { signal: abort.signal, ignoreEos: true, progress }))
  }
  /** A stop string in the middle of what would be written, across tokens. */
  async function stoppedInside(session: Session): Promise<Run> {
    const fork = await session.fork()
    const { text } = await fork.generate(user('One?'), { maxTokens: 12, ...quiet })
    return session.generate(user('One?'), { maxTokens: 12, stop: text.slice(5, 8), ...quiet })
  }

  const ways: [string, Run['stopped'], (session: Session) => PromiseLike<Run>][] = [
    ['maxTokens', 'length', answered({ maxTokens: 8, ...quiet })],
    ['an end token', 'eos', answered({ ...WILD, seed: 1 })],
    ['a stop string', 'stop', stoppedInside],
    ['a control token as stop string', 'stop', answered({ ...WILD, seed: 2, stop: '<|im_start|>', ignoreEos: true })],
    ['an abort', 'aborted', aborted],
    ['ignoreEos', 'length', answered({ ...WILD, seed: 1, maxTokens: 900, ignoreEos: true })],
    ['a stream left early', 'aborted', leftEarly],
  ]
  for (const [name, stopped, way] of ways)
    it(`goes on after ${name}, under a policy that keeps all and one that does not`, async () => {
      for (const policy of [fullCache(), zsmerge({ budget: 48 })]) {
        const session = model.session({ policy })
        const first = await way(session)
        assert.equal(first.stopped, stopped)
        const second = await session.generate(user('Two?'), { maxTokens: 4, ignoreEos: true, ...quiet })
        const third = await session.generate(user('Three?'), { maxTokens: 4, ignoreEos: true, ...quiet })
        assert.deepEqual([second.tokens.length, third.tokens.length, second.stopped], [4, 4, 'length'])
        // What ends an answer is no part of it: there the template's own words follow.
        const last = first.tokens.at(-1)!
        const ends = stopped === 'stop' || last === END
        const { tokenizer } = model
        const said = tokenizer.decode(ends ? first.tokens.slice(0, -1) : first.tokens)
        const read = tokenizer.decode(session.tokens)
        assert.ok(read.startsWith(FIRST + said + SECOND), read.slice(0, 2000))
        assert.equal(read.split('Two?').length, 2)
        session.dispose()
      }
    })

  it('goes on after an abort while a turn was read, with the rest of that turn', async () => {
    const long = 'word '.repeat(60)
    for (const chunks of [0, 1, 2]) {
      const session = model.session({ policy: fullCache({ chunk: 32 }) })
      await session.generate(user('One?'), { maxTokens: 3, ...quiet })
      const before = session.seqLen
      const abort = new AbortController()
      if (chunks === 0) abort.abort()
      const progress = (p: { stage: string; done: number }) => p.done >= 32 * chunks && abort.abort()
      const cut = await session.generate(user(long), { maxTokens: 3, signal: abort.signal, progress })
      assert.equal(cut.stopped, 'aborted')
      assert.equal(session.seqLen, before + 32 * chunks)
      await session.generate(user('Two?'), { maxTokens: 1, ...quiet })
      const read = model.tokenizer.decode(session.tokens)
      assert.equal(read.split(long).length, chunks ? 2 : 1, 'a turn that was not begun is forgotten, else read whole')
      assert.ok(read.endsWith(SECOND), read)
    }
  })

  it('an answer may be continued, and then the next turn follows', async () => {
    const session = model.session()
    const first = await session.generate(user('One?'), { maxTokens: 5, ignoreEos: true, ...quiet })
    const more = await session.generate(undefined, { maxTokens: 5, ignoreEos: true, ...quiet })
    await session.generate(user('Two?'), { maxTokens: 1, ...quiet })
    const said = model.tokenizer.decode([...first.tokens, ...more.tokens])
    assert.equal(model.tokenizer.decode(session.tokens), FIRST + said + SECOND)
  })

  it('says so where the template rewrites what was read', async () => {
    const last = "{{ messages[-1]['content'] }}:"
    const rewriting = await variant('rewriting.gguf', { 'tokenizer.chat_template': last })
    const session = rewriting.session()
    await session.generate(user('One?'), { maxTokens: 3, ...quiet })
    await assert.rejects(Promise.resolve(session.generate(user('Two?'))), /rewrites earlier turns/)
    await assert.rejects(
      Promise.resolve(session.generate({ messages: 'x' } as object as never)),
      /expected at least one/,
    )
  })

  it('an answer ends where the template ends turns, whatever the file calls eos; a text does not', async () => {
    const other = await variant('other-eos.gguf', { 'tokenizer.ggml.eos_token_id': EOT })
    const seen = new Set<number>()
    for (let seed = 0; seed < 8; seed++) {
      const run = await other.session().generate(user('One?'), { ...WILD, seed })
      assert.equal(run.stopped, 'eos')
      assert.ok(!run.tokens.slice(0, -1).some((id) => id === EOT || id === END))
      seen.add(run.tokens.at(-1)!)
    }
    assert.deepEqual([...seen].sort(), [EOT, END])
    const text = await other.session().generate('One?', { ...WILD, seed: 3, maxTokens: 1500, ignoreEos: true })
    assert.ok(text.tokens.includes(END))
    const stops = await other.session().generate('One?', { ...WILD, seed: 3, stop: '<|im_end|>', ignoreEos: true })
    assert.equal(stops.stopped, 'stop')
    assert.deepEqual(stops.tokens, text.tokens.slice(0, text.tokens.indexOf(END) + 1))
  })
})
