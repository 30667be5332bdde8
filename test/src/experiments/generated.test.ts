/** Tasks that make their prompts: what is asked can be told from the context, and is the only right answer. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  classification,
  commonWords,
  copying,
  frequentWords,
  keyValues,
  load,
  needle,
  needles,
  passkey,
  ruler,
  streaming,
  sweep,
  variableTracking,
  zsmerge,
  type AnsweringOptions,
  type Model,
  type Task,
  type TaskPrompt,
} from '../../../src/index.js'
import { generator } from '../../../src/sampling.js'
import { Draws } from '../../../src/experiments/tasks/draws.js'
import { toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const LENGTH = 300
const sized = { lengths: [LENGTH], prompts: 2 } as const

/** Of each kind, with several turns where it has them. */
const KINDS: Record<string, (options: AnsweringOptions) => Task> = {
  passkey: (options) => passkey({ lengths: [LENGTH], depths: [0, 1], ...options }),
  needle: (options) => needle({ lengths: [LENGTH], depths: [0, 1], filler: 'noise', value: 'uuid', ...options }),
  needles: (options) => needles({ ...sized, keys: 6, asked: 2, values: 2, turns: 2, ...options }),
  'nothing but needles': (options) => needles({ ...sized, filler: 'needles', key: 'uuid', turns: 3, ...options }),
  'key-value retrieval': (options) => keyValues({ ...sized, turns: 3, ...options }),
  'variable tracking': (options) => variableTracking({ ...sized, chains: 3, turns: 2, ...options }),
  copying: (options) => copying({ ...sized, ...options }),
  classification: (options) => classification({ ...sized, turns: 3, ...options }),
  'common words': (options) => commonWords({ ...sized, ...options }),
  'frequent words': (options) => frequentWords({ ...sized, ...options }),
}

const RULER_GENERATED = [
  'niah_single_1',
  'niah_single_2',
  'niah_single_3',
  'niah_multikey_1',
  'niah_multikey_2',
  'niah_multikey_3',
  'niah_multivalue',
  'niah_multiquery',
  'vt',
  'cwe',
  'fwe',
] as const

describe('tasks that make their prompts', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
  })
  after(() => model?.dispose())

  const textOf = (ids: Int32Array) => model.tokenizer.decode(ids)
  /** What stands before a user's words. */
  const HEAD = '<|im_start|>user\n'
  /** The context, and what is asked about it. */
  const asked = ({ ids, turns }: TaskPrompt) => {
    const text = textOf(ids)
    return [text.slice(text.indexOf(HEAD) + HEAD.length), ...turns.map(({ ask }) => textOf(ask))] as const
  }
  const counted = (words: readonly string[]) => {
    const counts = new Map<string, number>()
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
    return [...counts].sort(([, a], [, b]) => b - a)
  }

  for (const [kind, make] of Object.entries(KINDS)) {
    it(`${kind}: drawn with the seed, about as long as asked, with what is right in it`, async () => {
      const task = make({})
      const [one, again, other] = await Promise.all([1, 1, 2].map((seed) => task.prompts(model, seed)))
      assert.deepEqual(one, again)
      assert.notDeepEqual(one, other)
      assert.equal(one.length, 2)
      assert.equal(new Set([...one, ...other].map(({ cluster }) => cluster)).size, 4)
      for (const { ids, turns, evidence } of one) {
        const asks = turns.reduce((sum, { ask }) => sum + ask.length, 0)
        assert.ok(ids.length > LENGTH / 2 && ids.length < LENGTH * 1.6 + asks + 200, `${ids.length} tokens`)
        const text = textOf(ids)
        for (const { answers } of turns) for (const answer of answers) assert.ok(text.includes(answer), answer)
        if (!evidence) continue
        const needed = textOf(ids.filter((_, i) => evidence.includes(i)))
        for (const { answers } of turns) for (const answer of answers) assert.ok(needed.includes(answer), answer)
        assert.ok(evidence.length < ids.length)
      }
    })

    it(`${kind}: in a session each question follows the right answer, of several requests each comes to the context alone`, async () => {
      const [[session], [requests]] = await Promise.all(
        (['within', 'after'] as const).map((question) => make({ question }).prompts(model, 1)),
      )
      assert.equal(session.turns[0].ask.length, 0)
      const [context, ...questions] = asked(requests)
      const [first, , ...others] = asked(session)
      assert.equal(first, context + questions[0])
      const right = session.turns.map(({ answers }) => answers)
      assert.deepEqual(
        requests.turns.map(({ answers }) => answers),
        right,
      )
      others.forEach((ask, i) => {
        for (const answer of right[i].slice(0, 1)) assert.ok(ask.trimStart().startsWith(answer), ask)
        assert.ok(ask.endsWith(questions[i + 1].trimStart()), ask)
      })
    })
  }

  it('a needle stands at its depth', async () => {
    const depths = [0, 0.3, 0.6, 1]
    const prompts = await needle({ lengths: [600], depths }).prompts(model, 3)
    for (const [i, { ids, turns }] of prompts.entries()) {
      const text = textOf(ids)
      const [start, end] = [text.indexOf('The secret number of'), text.indexOf('\n\nWhat is the secret')]
      const length = `The secret number of x is ${turns[0].answers[0]}.`.length
      assert.ok(Math.abs(start / (end - length) - depths[i]) < 0.35, `${start} of ${end}`)
    }
    const at = prompts.map(({ evidence }) => evidence![0])
    assert.deepEqual(
      at,
      [...at].sort((a, b) => a - b),
    )
  })

  it('key-value pairs are a JSON object', async () => {
    for (const prompt of await keyValues({ ...sized, turns: 2, question: 'after' }).prompts(model, 5)) {
      const [context, ...questions] = asked(prompt)
      const pairs = JSON.parse(context) as Record<string, string>
      assert.ok(Object.keys(pairs).length >= 2)
      prompt.turns.forEach(({ answers }, i) => {
        const key = /key "([^"]+)"/.exec(questions[i])![1]
        assert.deepEqual(answers, [pairs[key]])
      })
    }
  })

  it('variables have their values by assignments that come before', async () => {
    const task = variableTracking({ ...sized, chains: 3, hops: 3, turns: 3, question: 'after' })
    for (const prompt of await task.prompts(model, 4)) {
      const [context, ...questions] = asked(prompt)
      const values = new Map<string, string>()
      for (const [, name, of] of context.matchAll(/VAR ([A-Z]+) = (?:VAR )?(\w+)\./g)) {
        const value = /^\d+$/.test(of) ? of : values.get(of)
        assert.ok(value !== undefined && !values.has(name), `${name} = ${of}`)
        values.set(name, value)
      }
      prompt.turns.forEach(({ answers }, i) => {
        const value = /the value (\d+), directly/.exec(questions[i])![1]
        assert.deepEqual(
          [...values].flatMap(([name, own]) => (own === value ? [name] : [])),
          answers,
        )
      })
    }
  })

  it('words that are asked for are the most frequent', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 64, max: 500 }), fc.integer({ min: 0, max: 1e6 }), async (length, seed) => {
        for (const [task, split] of [
          [commonWords, /\d+\. (\w+)/g],
          [frequentWords, /(\w+)/g],
        ] as const) {
          const [prompt] = await task({ lengths: [length], prompts: 1, question: 'after' }).prompts(model, seed)
          const counts = counted(Array.from(asked(prompt)[0].matchAll(split), ([, word]) => word))
          const { answers } = prompt.turns[0]
          const most = counts.slice(0, answers.length)
          assert.deepEqual(most.map(([word]) => word).sort(), [...answers].sort())
          assert.ok(most.at(-1)![1] > counts[answers.length][1])
        }
      }),
      { numRuns: 4 },
    )
  })

  it('examples have the label of each group, and not the word that is asked', async () => {
    for (const prompt of await classification({ ...sized, turns: 6, question: 'after' }).prompts(model, 8)) {
      const [context, ...questions] = asked(prompt)
      const labels = new Map(
        Array.from(context.matchAll(/Word: (.+)\nLabel: (\w+)/g), ([, word, label]) => [word, label]),
      )
      assert.ok(new Set(labels.values()).size <= 4)
      prompt.turns.forEach(({ answers }, i) => {
        const word = /Word: (.+?)(?:\n|<|$)/.exec(questions[i])![1]
        assert.ok(!labels.has(word) && [...labels.values()].includes(answers[0]), word)
      })
    }
  })

  it('what is to be copied is the context after its first line', async () => {
    const [prompt] = await copying({ ...sized, question: 'after' }).prompts(model, 2)
    const [context, question] = asked(prompt)
    const [first, ...others] = context.split('\n')
    assert.deepEqual(prompt.turns[0].answers, [others.join('\n')])
    assert.ok(question.endsWith(`${first}\n`))
  })

  it('have words enough, however long', () => {
    const draws = new Draws(generator(3))
    const secrets = Array.from({ length: 20_000 }, () => draws.secret('word'))
    assert.equal(new Set(secrets).size, secrets.length)
    assert.ok(secrets.every((word) => /^[a-z]{4,8}(-[a-z]{4,8})?$/.test(word)))
    assert.ok(secrets.slice(0, 1000).every((word) => !word.includes('-')))
  })

  it('common words are so where a list has more places than there are words', async () => {
    const description = { ...model.description, context: 2 ** 20 }
    const long = Object.create(model, { description: { value: description } }) as Model
    const [{ ids, turns }] = await commonWords({ lengths: [100_000], prompts: 1 }).prompts(long, 1)
    const list = Array.from(model.tokenizer.decode(ids).matchAll(/\d+\. (\w+)/g), ([, word]) => word)
    assert.ok(list.length > 9000 && !list.includes('undefined'), String(list.length))
    const [most, ...others] = [...counted(list)]
    assert.ok(turns[0].answers.includes(most[0]) && others.length > 2000)
  })

  it('of RULER are eleven, by its names', async () => {
    const answers = await Promise.all(
      RULER_GENERATED.map(async (name) => {
        const task = ruler(name, { lengths: [200], prompts: 1 })
        assert.equal(task.name, `ruler ${name}`)
        return (await task.prompts(model, 1))[0].turns[0].answers.length
      }),
    )
    assert.deepEqual(answers, [1, 1, 1, 1, 1, 1, 4, 4, 5, 10, 3])
  })

  it('say what became of the tokens that answers need', async () => {
    const task = needle({ lengths: [200], depths: [0, 0.5, 1], question: 'after', storage: 'float32' })
    const prompts = await task.prompts(model, 1)
    const BUDGET = 160
    const seen = new Set<number>()
    let merged = 0
    const study = await sweep({
      model,
      task,
      policy: [streaming, zsmerge],
      base: { budget: BUDGET },
      over: { sink: [4] },
    }).run(quiet)
    for (const { levels, trial } of study.rows) {
      const { evidence } = prompts.find(({ name }) => name === trial.prompt.name)!
      const { ger, layerGer, dropped } = trial.values!
      assert.ok(ger <= layerGer && dropped <= ger)
      if (levels.policy === 'zsmerge') {
        assert.equal(dropped, 0, 'merged tokens are not gone')
        merged = Math.max(merged, layerGer)
        continue
      }
      // The first four stay, and the newest; what was written last nobody has read, but where the model has ended its answer.
      const { ids, turns } = prompts.find(({ name }) => name === trial.prompt.name)!
      assert.ok(task.measure.kind === 'answers')
      const { tokens } = task.measure
      const read = ids.length + turns[0].ask.length + Math.min(trial.values!.length, tokens - 1)
      const left = evidence!.filter((position) => position >= 4 && position < read - (BUDGET - 4))
      const expected = left.length / evidence!.length
      assert.deepEqual([ger, layerGer, dropped], [expected, expected, expected], trial.prompt.name)
      seen.add(expected)
    }
    assert.ok(seen.has(0) && seen.has(1))
    assert.ok(merged > 0, 'a token among others is no slot of its own')
    assert.ok(study.rows.some(({ trial }) => trial.values!.layerGer > 0 && trial.values!.layerGer < 1))
  })

  it('refuse what cannot be', async () => {
    const cases: [() => unknown, RegExp][] = [
      [() => needle({ filler: 'hay' as never }), /'book', 'noise'/],
      [() => needle({ value: 'digits' as never }), /'word', 'number', 'uuid'/],
      [() => needles({ keys: 2, asked: 2, turns: 2 }), /2 questions about 2 keys each need 4 keys, but there are 2/],
      [() => needles({ filler: 'none' as never }), /'needles'/],
      [() => keyValues({ turns: 0 }), /turns/],
      [() => variableTracking({ turns: 2, chains: 1 }), /chains/],
      [() => classification({ classes: 9 }), /classes/],
      [() => copying({ lengths: [1] }), /lengths\[0\]/],
      [() => commonWords({ prompts: 0 }), /prompts/],
      [() => ruler('qa' as never), /'niah_single_1'/],
      [() => ruler('vt', { hops: 2 } as never), /no option "hops"/],
      [() => passkey({ lengths: 'all' as never }), /at least one/],
      [() => passkey({ depths: [0, 1, 0] }), /each once for depths but received 0/],
      [() => keyValues({ prompts: 1e9 }), /from 1 to 10000 for prompts/],
    ]
    for (const [make, message] of cases) assert.throws(make, message)
    // Longer than any text that is made before somebody finds that out.
    const endless = needle({ lengths: [200, 1e12], depths: [0] })
    await assert.rejects(endless.prompts(model, 1), /fewer tokens than the \d+ of the context of .* for lengths\[1\]/)
  })
})
