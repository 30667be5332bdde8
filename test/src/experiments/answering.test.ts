/** Tasks that ask: answers are those of sessions, keys stand where they should, and a model that cannot do the task is said to be one. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { fullCache, load, passkey, snapkv, sweep, zsmerge, type Model, type Policy } from '../../../src/index.js'
import { readAnswers } from '../../../src/answers.js'
import { answering } from '../../../src/experiments/tasks/answering.js'
import { draws, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const TOKENS = 12

describe('answers', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
  })
  after(() => model?.dispose())

  for (const after of [false, true])
    it(`of each policy are those of a session of its own, the question ${after ? 'after' : 'within'} the prompt`, async () => {
      const draw = draws(after ? 4 : 3)
      const ids = (count: number) => Int32Array.from({ length: count }, () => draw(model.description.vocabulary))
      const text = {
        ids: ids(60),
        then: after ? ids(9) : new Int32Array(),
        tokens: TOKENS,
        storage: 'float32',
      } as const
      const policies = [
        zsmerge({ budget: 16, recent: 4 }),
        snapkv({ budget: 40 }),
        fullCache(),
        zsmerge({ budget: 30 }),
      ]
      const found: { answer: readonly number[]; full: readonly number[]; tokens: number }[] = []
      let [done, last] = [0, 0]
      await readAnswers(
        model,
        text,
        policies.map((policy) => ({ policy, budgets: undefined })),
        (i, answer, full, reading) => void (found[i] = { answer, full, tokens: reading.seqLen }),
        {
          signal: undefined,
          progress: ({ done: now, total }) => {
            assert.ok(now >= done && now <= total)
            done = now
            last = total
          },
        },
      )
      assert.equal(done, last)
      const alone = async (policy: Policy) => {
        const session = model.session({ policy, storage: 'float32' })
        await session.prefill(text.ids, quiet)
        if (after) await session.append(text.then, quiet)
        const run = await session.generate(undefined, { maxTokens: TOKENS, ...quiet })
        session.dispose()
        return run.tokens.filter((id) => !model.tokenizer.ends.has(id))
      }
      const full = await alone(fullCache())
      for (const [i, policy] of policies.entries()) {
        assert.deepEqual(found[i].answer, await alone(policy), String(policy))
        assert.deepEqual(found[i].full, full)
        const read = text.ids.length + text.then.length
        assert.ok(found[i].tokens >= read && found[i].tokens < read + TOKENS)
      }
    })

  it('passkeys stand where they should, in as long a text, once, and are drawn with the seed', async () => {
    const task = passkey({ lengths: [128, 100], depths: [0, 0.5, 1] })
    const [one, again, other] = await Promise.all([1, 1, 2].map((seed) => task.prompts(model, seed)))
    assert.deepEqual(one, again)
    assert.notDeepEqual(one, other)
    assert.deepEqual(
      one.map(({ name }) => name),
      [128, 100].flatMap((length) => [0, 0.5, 1].map((depth) => `${length} tokens, depth ${depth}`)),
    )
    assert.equal(new Set([...one, ...other].map(({ cluster }) => cluster)).size, 12)
    for (const prompt of [...one, ...other]) {
      const { answer, ids, name } = prompt as typeof prompt & { answer: string }
      const text = model.tokenizer.decode(ids)
      assert.match(answer, /^\d{5}$/)
      assert.equal(text.split(answer).length, 3, 'the needle says it twice')
      const depth = Number(name.split(' ').at(-1))
      const at = text.indexOf(`The pass key is ${answer}`) / text.indexOf('\n\nWhat is the pass key')
      if (depth === 0) assert.ok(text.slice(0, text.indexOf('The pass key is')).length < 200)
      else assert.ok(at > 0.1)
    }
  })

  it('say that a model cannot do a task, and score what is said', async () => {
    const parts = {
      name: 'parrots',
      about: 'nothing',
      options: {},
      tokens: 4,
      scored: 'share of letters',
      able: 0.5,
      asked: () =>
        [1, 2, 3].map((i) => ({
          name: `${i}`,
          cluster: `${i}`,
          context: `Say ${i}. `.repeat(9),
          question: 'Well?',
          answer: 'x',
        })),
    }
    const run = (score: () => number) =>
      sweep({ model, task: answering({ ...parts, score }, {}), policy: zsmerge, base: { budget: 16, recent: 4 } }).run(
        quiet,
      )
    const [cannot, can] = [await run(() => 0.25), await run(() => 0.75)]
    assert.match(cannot.cannot!, /the full cache itself reaches 0\.25/)
    assert.match(inspect(cannot.summary()), /this model cannot do the task/)
    assert.equal(can.cannot, null)
    assert.deepEqual(can.rows[0].trial.values!.score, 0.75)
    assert.equal(can.rows[0].trial.values!.change, 0)
  })

  it('tell questions about one context from each other', async () => {
    const one = { cluster: 'a', context: 'All that is said. '.repeat(9), answer: 'x' }
    const asked = () => ['Who?', 'Where?'].map((question) => ({ ...one, name: question, question }))
    const parts = { name: 'asks', about: 'x', options: {}, tokens: 3, scored: 'x', able: 0, score: () => 1, asked }
    const study = await sweep({
      model,
      task: answering(parts, { question: 'after' }),
      policy: zsmerge,
      base: { budget: 16, recent: 4 },
    }).run(quiet)
    assert.deepEqual(
      study.rows.map(({ trial }) => trial.prompt.name),
      ['Who?', 'Where?'],
    )
    assert.equal(new Set(study.rows.map(({ trial }) => trial.key)).size, 2)
  })

  it('refuse what they cannot do', async () => {
    assert.throws(() => passkey({ lengths: [] }), /at least one/)
    assert.throws(() => passkey({ depths: [2] }), /depths\[0\]/)
    assert.throws(() => passkey({ question: 'before' as never }), /'within', 'after'/)
    assert.throws(() => passkey({ storage: 'int4' as never }), /'float16'/)
    await assert.rejects(passkey({ lengths: [100_000] }).prompts(model, 1), /so that the answer has room/)
  })
})
