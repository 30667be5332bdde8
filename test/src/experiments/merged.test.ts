/** Studies over the same prompts as one: what is paired, what levels rows have, and what is refused. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import {
  evictOnly,
  figures,
  languageModelling,
  load,
  mergeStudies,
  passkey,
  snapkv,
  sweep,
  zsmerge,
  type Model,
  type SweepOptions,
} from '../../../src/index.js'
import { draws, ownFolder, toyPath, written } from '../model/files.js'

const quiet = { progress: false } as const

describe('merged studies', () => {
  let model: Model
  let texts: number[][]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(3)
    texts = Array.from({ length: 7 }, () => Array.from({ length: 40 }, () => draw(model.description.vocabulary)))
  })
  after(() => model?.dispose())

  const named = (which: readonly number[], cluster = 'book') =>
    which.map((i) => ({ text: texts[i], name: `text ${i}`, cluster: `${cluster} ${i}` }))
  const studied = (more: Partial<SweepOptions> = {}, text: unknown = named([0, 1, 2, 3, 4, 5, 6])) =>
    sweep({
      model,
      task: languageModelling({ text: text as never, tokens: 40, rows: 6 }),
      policy: zsmerge,
      base: { budget: 12, recent: 4, residual: 2 },
      over: { alpha: [0, 1] },
      ...more,
    }).run(quiet)

  it('are paired prompt by prompt, and the same setting is the same', async () => {
    const [a, b] = [
      await studied(),
      await studied({ base: { budget: 12, recent: 4, residual: 4 }, over: { alpha: [1, 2] } }),
    ]
    const both = mergeStudies({ narrow: a, wide: b })
    assert.equal(both.rows.length, 28)
    assert.deepEqual(both.dimensions, { study: ['narrow', 'wide'], alpha: [0, 1, 2] })
    const kl = (study: typeof a, text: number) =>
      study.rows.find(({ levels, trial }) => levels.alpha === 1 && trial.prompt.name === `text ${text}`)!.trial.values!
        .kl
    const found = both.compare({ study: 'wide' }, { study: 'narrow' })!
    const expected = texts.reduce((sum, _, i) => sum + (kl(b, i) - kl(a, i)) / texts.length, 0)
    assert.ok(Math.abs(found.difference.mean - expected) < 1e-12)
    assert.deepEqual([found.pairs, found.clusters], [7, 7])
    const same = mergeStudies({ one: a, again: await studied() })
    const nothing = same.compare({ study: 'one' }, { study: 'again' })!
    assert.deepEqual([nothing.difference.mean, nothing.pairs], [0, 14])
    assert.ok(
      both.effects().main.some(({ dimensions, found: effect }) => dimensions[0] === 'study' && effect?.pairs === 7),
    )
    assert.match(
      figures.pairedDifferences(both, { study: 'wide' }, { study: 'narrow' }).summary,
      /^study wide less study narrow: kl /,
    )
    assert.match(figures.frontier(both, { by: 'study' }).summary, /settings/)
    assert.match(both.csv(), /^study,alpha,call,prompt,/)
    assert.match(inspect(both), /narrow, wide: studies over the same prompts, 28 trials, 7 prompts in all of them/)
    assert.equal(both.cards.length, 2)
  })

  it('have the dimensions of all, with what a policy has where a study does not vary it', async () => {
    const a = await studied({ over: { alpha: [0, 1], decay: [0.98, 0.9] } })
    const b = await studied({ policy: [snapkv, evictOnly], base: { budget: 12 }, over: {} })
    const both = mergeStudies({ a, b })
    assert.deepEqual(both.dimensions, {
      study: ['a', 'b'],
      alpha: [0, 1, null],
      decay: [0.98, 0.9, null],
      policy: ['zsmerge', 'snapkv', 'evict-only'],
    })
    const levels = new Set(both.rows.map((row) => JSON.stringify(Object.values(row.levels))))
    assert.ok(levels.has('["a",0,0.98,"zsmerge"]') && levels.has('["b",null,null,"snapkv"]'))
    assert.ok(levels.has('["b",null,0.98,"evict-only"]'))
    const across = both.compare(
      { study: 'a', policy: 'zsmerge', alpha: 1 },
      { study: 'b', policy: 'evict-only', alpha: null },
    )!
    assert.equal(across.pairs, 7)
  })

  it('know texts by what they are: other names, other texts of a name, texts that only one has', async () => {
    const a = await studied({}, named([0, 1, 2, 3, 4, 5]))
    const called = [3, 2, 1].map((i) => ({ text: texts[i], name: `page ${i}`, cluster: 'a page' }))
    const b = await studied({}, [...called, { text: texts[6], name: 'text 0', cluster: 'book 6' }])
    const both = mergeStudies({ a, b })
    const { pairs, clusters, difference } = both.compare({ study: 'a' }, { study: 'b' })!
    assert.deepEqual([pairs, clusters, difference.mean], [6, 3, 0])
    assert.equal(both.facts.common, 3)
    const names = new Set(both.rows.filter(({ levels }) => levels.study === 'b').map(({ trial }) => trial.prompt.name))
    assert.deepEqual([...names], ['text 3', 'text 2', 'text 1', 'text 0 (b)'])
    const twice = [texts[0], texts[0], texts[1]]
    const doubled = mergeStudies({ a: await studied({}, twice), b: await studied({}, twice) })
    assert.equal(doubled.compare({ study: 'a' }, { study: 'b' })!.pairs, 6)
    assert.equal(doubled.facts.common, 3)
  })

  it('refuse what cannot be compared, and say what differs', async () => {
    const a = await studied()
    const says = (studies: object, message: RegExp) =>
      assert.throws(
        () => mergeStudies(studies as never),
        (error: Error & { code?: string }) =>
          (error.code === 'invalid' && message.test(error.message)) || assert.fail(error.message),
      )
    says({ a }, /at least two, by name/)
    says({ a, b: 1 }, /a study for studies\.b/)
    says({ a, b: sweep({ model, task: languageModelling({ text: texts }), policy: zsmerge }) }, /has not been run/)
    says({ a, b: await studied({ split: 0.5 }) }, /the study is split/)
    says(
      {
        a,
        b: await studied(
          {},
          texts.map((text) => text.slice(0, 40).reverse()),
        ),
      },
      /no prompt in common/,
    )
    says({ a, b: await studied({ seeds: [2] }) }, /no prompt in common/)
    const rows = await studied({ task: languageModelling({ text: texts, tokens: 40, rows: 8 }) })
    says({ a, b: rows }, /how it is measured differs, .*"rows":6.* and .*"rows":8/)
    const key = await sweep({
      model,
      task: passkey({ lengths: [64], depths: [0.5] }),
      policy: snapkv,
      base: { budget: 0.5 },
    }).run(quiet)
    says({ a, key }, /task differs, language modelling and passkey/)
    const bytes = readFileSync(toyPath)
    // One weight is another in its last bits.
    bytes[bytes.length - 4] ^= 1
    const other = await load(written(ownFolder(), 'other.gguf', bytes), { weights: 'float32', progress: false })
    try {
      says({ a, b: await studied({ model: other }) }, /model differs, toy\.gguf \(sha256 .* and other\.gguf \(sha256/)
    } finally {
      other.dispose()
    }
    const spread = await studied({ over: { alpha: { from: 0, to: 1 } }, design: { latinHypercube: { runs: 4 } } })
    says({ a, spread }, /spread is a study over ranges/)
  })
})
