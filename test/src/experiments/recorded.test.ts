/** Tasks of a user's own records: what lines mean, and that what is wrong with one is said with its file and line. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load, questions, ruler, summaries, sweep, zsmerge, type Model, type Task } from '../../../src/index.js'
import { ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const

describe('tasks of own records', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
  })
  after(() => model?.dispose())

  const written = (...lines: unknown[]) => {
    const file = join(ownFolder(), 'records.jsonl')
    writeFileSync(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'))
    return file
  }
  const textOf = (ids: Int32Array) => model.tokenizer.decode(ids)
  const text = (i: number) => `Text ${i} says that the sea is deep. `.repeat(4)

  it('ask what lines say, in their order or as many as the seed draws', async () => {
    const file = written(
      { context: text(0), question: 'How is it?', answers: 'deep', name: 'first', cluster: 'sea' },
      '',
      { context: text(1), question: 'And this?', answers: ['deep', 'very deep'] },
      { context: text(2), questions: [{ question: 'What?', answers: ['the sea'] }] },
    )
    const [one, two, three] = await questions({ file }).prompts(model, 1)
    assert.deepEqual([one.name, one.cluster, two.name, two.cluster], ['first', 'sea', `${file}:3`, `${file}:3`])
    assert.deepEqual(two.turns[0].answers, ['deep', 'very deep'])
    assert.ok(textOf(three.ids).includes(`${text(2)}\n\nWhat?`))
    const drawn = async (seed: number) =>
      (await questions({ file, prompts: 2 }).prompts(model, seed)).map(({ name }) => name)
    const all = await Promise.all([1, 2, 3, 4, 5, 6].map(drawn))
    assert.deepEqual(await drawn(1), all[0])
    assert.ok(new Set(all.map((names) => names.join())).size > 1)
    for (const names of all) assert.equal(new Set(names).size, 2)
  })

  it('leave out the middle of what is too long', async () => {
    const words = Array.from({ length: 200 }, (_, i) => `word${i}`).join(' ')
    const file = written({ context: words, question: 'Which?', answers: 'word0' })
    const [whole] = await questions({ file }).prompts(model, 1)
    const [part] = await questions({ file, length: 100, question: 'after' }).prompts(model, 1)
    const said = textOf(part.ids)
    assert.ok(said.includes('word0 word1') && said.endsWith('word198 word199') && !said.includes('word100'))
    assert.ok(part.ids.length < 140 && whole.ids.length > 300)
  })

  it('are scored by the words that are right, several questions on one text too', async () => {
    const lines = [0, 1].map((i) => ({
      context: text(i),
      questions: [
        { question: 'What is deep?', answers: ['the sea'] },
        { question: 'Which text?', answers: [`${i}`, `text ${i}`] },
      ],
    }))
    for (const question of ['within', 'after'] as const) {
      const task = questions({ file: written(...lines), question, tokens: 6, able: 0, scores: ['f1', 'rouge1'] })
      const study = await sweep({ model, task, policy: zsmerge, base: { budget: 24, recent: 4 } }).run(quiet)
      assert.deepEqual(
        study.metrics.map(({ name }) => name),
        ['score', 'change', 'full', 'length', 'rouge1', 'score1', 'change1', 'score2', 'change2', 'bytes'],
      )
      for (const { trial } of study.rows) {
        const { score, score1, score2, change, change1, change2 } = trial.values!
        assert.ok(Math.abs(score - (score1 + score2) / 2) < 1e-12)
        assert.ok(Math.abs(change - (change1 + change2) / 2) < 1e-12)
      }
    }
  })

  it('summaries are compared with what lines have', async () => {
    const file = written({ text: text(0), summary: ['The sea is deep.', 'Deep sea.'] })
    const task = summaries({ file, tokens: 8 })
    assert.deepEqual((await task.prompts(model, 1))[0].turns[0].answers, ['The sea is deep.', 'Deep sea.'])
    const study = await sweep({ model, task, policy: zsmerge, base: { budget: 24, recent: 4 } }).run(quiet)
    for (const name of ['score', 'rouge1', 'rouge2', 'rougeLsum']) {
      const value = study.rows[0].trial.values![name]
      assert.ok(value >= 0 && value <= 1, name)
    }
  })

  it('are RULER’s two that are read', () => {
    const file = written({ context: text(0), question: 'How is it?', answers: 'deep' })
    const task = ruler('qa_1', { file })
    assert.equal(task.name, 'ruler qa_1')
    assert.ok(task.measure.kind === 'answers')
    assert.deepEqual(task.measure.scores, ['contains'])
  })

  it('say where a line is wrong, and how', () => {
    const good = { context: text(0), question: 'How is it?', answers: 'deep' }
    const asks = (file: string): Task => questions({ file })
    const sums = (file: string): Task => summaries({ file })
    const cases: [(file: string) => Task, unknown[], RegExp][] = [
      [asks, [good, '{"context": '], /records\.jsonl:2: it is no JSON/],
      [asks, [good, '', 'null'], /records\.jsonl:3: expected an object for the line/],
      [asks, [{ ...good, question: 7 }], /:1: expected a string for question but received 7/],
      [asks, [{ ...good, answers: [] }], /:1: expected at least one for answers/],
      [asks, [{ ...good, answers: ['a', ' '] }], /:1: expected some words for answers\[1\]/],
      [asks, [{ ...good, answer: 'deep' }], /:1: the line has no option "answer", did you mean 'answers'/],
      [asks, [{ ...good, questions: [] }], /either questions, or question and answers/],
      [asks, [{ context: 'x', questions: [{ question: 'y' }] }], /questions\[0\]\.answers/],
      [
        asks,
        [good, { context: 'x', questions: [good, good].map(({ context: _, ...of }) => of) }],
        /:2 has 2 questions, but .*:1 has 1/,
      ],
      [asks, [''], /has no records/],
      [sums, [{ text: 'x' }], /:1: expected a string for summary/],
      [sums, [{ text: '', summary: 'x' }], /:1: expected some words for text/],
    ]
    for (const [make, lines, message] of cases)
      assert.throws(() => make(written(...lines)), { code: 'file', message }, JSON.stringify(lines))
    assert.throws(() => questions({ file: join(ownFolder(), 'none.jsonl') }), {
      code: 'file',
      message: /cannot be read/,
    })
    assert.throws(() => questions({} as never), /a string for file/)
    assert.throws(() => questions({ file: written(good), prompts: 2 }), /prompts/)
    assert.throws(
      () => sums(written({ text: 'x', summary: 'y' })) && summaries({ file: written(good), able: 2 }),
      /line has no option/,
    )
  })
})
