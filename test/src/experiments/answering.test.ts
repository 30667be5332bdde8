/** Tasks that ask: answers are those of sessions, keys stand where they should, and a model that cannot do the task is said to be one. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { fullCache, load, passkey, snapkv, sweep, zsmerge, type Model, type Policy } from '../../../src/index.js'
import { readAnswers, type Answers } from '../../../src/answers.js'
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

  const cases = [
    { what: 'the question within the prompt', mode: 'session', asks: [0] },
    { what: 'the question after the prompt', mode: 'session', asks: [9] },
    { what: 'three questions one after another', mode: 'session', asks: [0, 9, 7] },
    { what: 'three questions about one prompt', mode: 'requests', asks: [8, 9, 7] },
  ] as const
  for (const [at, { what, mode, asks: lengths }] of cases.entries())
    it(`of each policy are those of sessions of its own: ${what}`, async () => {
      const draw = draws(3 + at)
      const ids = (count: number) => Int32Array.from({ length: count }, () => draw(model.description.vocabulary))
      const asks = lengths.map(ids)
      const text = { ids: ids(60), asks, mode, tokens: TOKENS, storage: 'float32' } as const
      const policies = [
        zsmerge({ budget: 16, recent: 4 }),
        snapkv({ budget: 40 }),
        fullCache(),
        zsmerge({ budget: 30 }),
      ]
      const found: { answers: Answers; full: Answers; tokens: number }[] = []
      let [done, last] = [0, 0]
      await readAnswers(
        model,
        text,
        policies.map((policy) => ({ policy, budgets: undefined })),
        (i, answers, full, reading) => void (found[i] = { answers, full, tokens: reading.seqLen }),
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
        const said: number[][] = []
        for (const turn of asks.keys()) {
          const session = model.session({ policy, storage: 'float32' })
          await session.prefill(text.ids, quiet)
          const before = mode === 'session' ? asks.slice(0, turn + 1) : [asks[turn]]
          for (const ask of before) if (ask.length) await session.append(ask, quiet)
          const run = await session.generate(undefined, { maxTokens: TOKENS, ...quiet })
          session.dispose()
          said.push(run.tokens.filter((id) => !model.tokenizer.ends.has(id)))
        }
        return said
      }
      const full = await alone(fullCache())
      const read =
        text.ids.length + (mode === 'session' ? asks : asks.slice(-1)).reduce((sum, ask) => sum + ask.length, 0)
      for (const [i, policy] of policies.entries()) {
        assert.deepEqual(found[i].answers, await alone(policy), String(policy))
        assert.deepEqual(found[i].full, full)
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
      const { ids, name } = prompt
      const [answer] = prompt.turns[0].answers
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
    const run = (answer: string) =>
      sweep({
        model,
        task: answering(
          {
            call: 'parrots',
            name: 'parrots',
            about: 'nothing',
            options: {},
            tokens: 4,
            scores: ['contains', 'all'],
            asked: () =>
              [1, 2, 3].map((i) => ({
                name: `${i}`,
                cluster: `${i}`,
                context: `Say ${i}. `.repeat(9),
                questions: [{ question: 'Well?', answers: [answer, 'what nobody says'] }],
              })),
          },
          {},
        ),
        policy: zsmerge,
        base: { budget: 16, recent: 4 },
      }).run(quiet)
    // Whatever is said contains nothing.
    const [cannot, can] = [await run('neither is this said'), await run('')]
    assert.match(cannot.cannot!, /the full cache itself reaches 0 /)
    assert.match(inspect(cannot.summary()), /this model cannot do the task/)
    assert.equal(can.cannot, null)
    assert.deepEqual(can.rows[0].trial.values!.score, 1)
    assert.equal(can.rows[0].trial.values!.all, 0.5)
    assert.equal(can.rows[0].trial.values!.change, 0)
  })

  it('tell questions about one context from each other', async () => {
    const one = { cluster: 'a', context: 'All that is said. '.repeat(9) }
    const asked = () =>
      ['Who?', 'Where?'].map((question) => ({ ...one, name: question, questions: [{ question, answers: ['x'] }] }))
    const parts = {
      call: 'asks',
      name: 'asks',
      about: 'x',
      options: {},
      tokens: 3,
      scores: ['contains'],
      able: 0,
      asked,
    } as const
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
    for (const length of [100_000, model.description.context - 8])
      await assert.rejects(passkey({ lengths: [length] }).prompts(model, 1), /so that the answer has room/)
  })
})
