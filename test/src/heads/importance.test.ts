/** headImportance() on the toy model: what does not change anything, parts kept and gone on from, some heads, what comes out, refusals. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { after } from 'mocha'
import {
  evictOnly,
  fullCache,
  HEAD_MEASURES,
  headImportance,
  load,
  type Model,
  type Progress,
} from '../../../src/index.js'
import { repeatedIds } from '../../../src/heads/repeated.js'
import { native } from '../../../src/native/binding.js'
import { CHANGES } from '../../../src/native/heads.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

describe('headImportance', () => {
  const folder = ownFolder()
  let model: Model
  let ids: Int32Array
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(7)
    ids = Int32Array.from({ length: 40 }, () => draw(model.description.vocabulary))
  })
  after(() => model?.dispose())
  const quiet = { progress: false } as const
  /** But for those of texts that the model can copy from: it copies nothing. */
  const everything = HEAD_MEASURES.map(({ name }) => name).filter((name) => !name.startsWith('retrieval'))

  it('a text read without changes gives the bits of a session under the full cache, watched or not', async () => {
    const { vocabulary, layers, heads } = model.description
    const rows = Array.from(ids.keys())
    const session = model.session({ policy: fullCache(), storage: 'float32' })
    const [expected, given, seen] = [0, 0, 0].map(() => new Float32Array(ids.length * vocabulary))
    await native().modelForward(model.native, session.cache.native, { ids, shareOf: 0, rows, logits: expected })
    session.dispose()
    const read = { ids, rows: ids.length, changes: [] }
    await native().modelRead(model.native, { ...read, logits: given })
    const entropies = new Float64Array(layers * heads * ids.length)
    const watch = { heads: new Uint8Array(layers * heads).fill(1), entropies }
    await native().modelRead(model.native, { ...read, logits: seen, watch })
    assert.deepEqual(given, expected)
    assert.deepEqual(seen, expected)
  })

  it('heads side by side, one by one and on one thread: the same bits; a gate of 1 changes nothing', async () => {
    const { layers, heads, headDim } = model.description
    const changes = Array.from({ length: 4 * layers * heads }, (_, i) => ({
      layer: Math.floor(i / 4 / heads),
      head: Math.floor(i / 4) % heads,
      kind: [0, 1, 1, 2][i % 4],
      gate: i % 4 === 1 ? 1 : 1.05,
      ...(i % 4 === 3 && { values: new Float32Array(headDim).fill(0.125) }),
    }))
    const vary = async (of: Model, together: number) => {
      const [kl, losses, baseLoss] = [changes.length, changes.length, 1].map((n) => new Float64Array(n))
      const starts = [...changes.keys(), changes.length]
      await native().modelVary(of.native, { ids, rows: 16, starts, changes, together, kl, losses, baseLoss })
      return { kl, losses, baseLoss }
    }
    const many = await vary(model, 0)
    assert.deepEqual(await vary(model, 1), many)
    const alone = await load(toyPath, { weights: 'float32', threads: 1, progress: false })
    assert.deepEqual(await vary(alone, 0), many)
    alone.dispose()
    changes.forEach((change, i) => {
      if (i % 4 === 1) assert.equal(many.kl[i], 0)
      if (i % 4 === 1) assert.equal(many.losses[i], many.baseLoss[0])
      if (i % 4 === 0) assert.ok(many.kl[i] > 0, `${change.layer}-${change.head}`)
    })
  })

  it('the mean in place of a head that gives the same everywhere changes nothing', async () => {
    // One token again and again: in the first layer all values are one.
    const same = Int32Array.from({ length: 30 }, () => 9)
    const found = await headImportance(model, same, { by: ['ablationMean', 'ablation'], ...quiet })
    for (const kl of found.of('ablationMean').values[0]) assert.ok(Math.abs(kl) < 1e-10, `KL ${kl}`)
    assert.ok(found.of('ablation').values[0].some((kl) => kl > 1e-6))
  })

  it('ablations and gates are those of whole runs with one head changed', async () => {
    const { heads } = model.description
    const by = ['ablationLoss', 'gradientFree']
    const found = await headImportance(model, ids, { by, tokens: 30, rows: 12, ...quiet })
    const loss = async (changes: { layer: number; head: number; kind: number; gate: number }[]) => {
      const losses = new Float64Array(12)
      await native().modelRead(model.native, { ids: ids.slice(0, 30), rows: 12, changes, losses })
      return losses.reduce((sum, each) => sum + each, 0) / 11
    }
    const base = await loss([])
    for (const [layer, head] of [
      [0, 0],
      [1, heads - 1],
    ]) {
      const at = (kind: (typeof CHANGES)[number], gate: number) =>
        loss([{ layer, head, kind: CHANGES.indexOf(kind), gate }])
      const [zero, less, more] = [await at('zero', 0), await at('gate', 0.95), await at('gate', 1.05)]
      const near = (given: number, expected: number) =>
        assert.ok(Math.abs(given - expected) < 1e-6, `${given}, ${expected}`)
      near(found.of('ablationLoss').values[layer][head], zero - base)
      near(found.of('gradientFree').values[layer][head], Math.abs(more - less) / 0.1)
    }
  })

  it('every measure is in its range, for some heads as for all, with its mean over texts and by kv head', async () => {
    const { layers, heads, kvHeads } = model.description
    const texts = [ids, ids.slice(5)]
    const policy = evictOnly({ budget: 12, recent: 4 })
    const found = await headImportance(model, texts, { by: everything, sequences: 2, policy, ...quiet })
    const chosen = [
      { layer: 0, head: 1 },
      { layer: 1, head: heads - 1 },
    ]
    const some = await headImportance(model, texts, { by: everything, sequences: 2, heads: chosen, policy, ...quiet })
    assert.deepEqual(Object.keys(found.measures), everything)
    for (const { name, least, most, kv, values, perText, kvValues } of Object.values(found.measures)) {
      assert.equal(perText.length, 2, name)
      for (let layer = 0; layer < layers; layer++)
        for (let head = 0; head < heads; head++) {
          const value = values[layer][head]
          assert.ok(value >= least - 1e-9 && value <= most + 1e-6, `${name} ${layer}-${head}: ${value}`)
          const mean = (perText[0][layer][head] + perText[1][layer][head]) / 2
          if (name !== 'duoOnTheFly') assert.ok(Math.abs(value - mean) <= 1e-12 * Math.abs(mean), name)
          const wanted = chosen.some((one) => one.layer === layer && one.head === head)
          assert.equal(some.of(name).values[layer][head], wanted ? value : NaN, `${name} ${layer}-${head}`)
        }
      const group = heads / kvHeads
      const own = Array.from(values[1].subarray(group, 2 * group))
      const mean = own.reduce((sum, value) => sum + value, 0) / group
      assert.ok(Math.abs(kvValues[1][1] - (kv === 'mean' ? mean : Math.max(...own))) < 1e-12, name)
      if (kv === 'own') assert.equal(new Set(own).size, 1, name)
    }
    assert.match(found.csv().split('\n')[0], /^layer,head,kvHead,ablation,/)
    assert.equal(found.frame().shape[0], layers * heads)
    const json = JSON.parse(JSON.stringify(found)) as Record<string, unknown> & { seeds: number[]; texts: unknown[] }
    assert.deepEqual([json.format, json.seeds, json.texts.length], ['zslab.heads', [1, 2], 2])
  })

  it('mean queries and keys are of all texts, in any order', async () => {
    const texts = [ids, ids.slice(7), ids.slice(0, 21)]
    const of = async (given: Int32Array[]) =>
      (await headImportance(model, given, { by: 'duoOnTheFly', ...quiet }))
        .of('duoOnTheFly')
        .values.flatMap((row) => [...row])
    const found = await of(texts)
    ;(await of(texts.toReversed())).forEach((value, head) => assert.ok(Math.abs(value - found[head]) < 1e-9))
    assert.notDeepEqual(await of(texts.slice(0, 2)), found)
  })

  it('measures and what was found say what they are', async () => {
    assert.match(inspect(HEAD_MEASURES), /^\d+ measures of heads\nablation +nats +Michel/)
    for (const measure of HEAD_MEASURES)
      assert.match(inspect(measure), new RegExp(`^Measure ${measure.name} \\[${measure.unit}\\], .*: `))
    const found = await headImportance(model, ids, { by: ['entropy', 'echo'], seed: 5, ...quiet })
    assert.match(inspect(found), /^Heads of toy\.gguf, .*seeds 5, 6\nentropy \[nats\]: highest in \d-\d/)
    assert.throws(() => found.of('kvzip'), /"kvzip" was not measured; there are: entropy, echo/)
  })

  it('random sequences are of different ids, repeated, and the same for a seed', () => {
    const made = repeatedIds(model, 3)
    const once = made.length / 4
    assert.equal(new Set(made).size, once)
    made.forEach((id, i) => assert.equal(id, made[i % once]))
    assert.deepEqual(repeatedIds(model, 3), made)
    assert.notDeepEqual(repeatedIds(model, 4), made)
    const { tokenizer } = model
    for (let seed = 0; seed < 20; seed++)
      for (const id of new Set(repeatedIds(model, seed)))
        assert.notEqual(tokenizer.decode([id], { skipSpecial: true }), '', `${id} stands for no text`)
  })

  it('what was done before an abort is kept and not done again', async () => {
    const store = join(folder, 'parts')
    const long = Int32Array.from({ length: 240 }, (_, i) => ids[(i * 7) % ids.length])
    const options = { by: ['ablation', 'ablationMean', 'gradientFree'], store }
    const plain = await headImportance(model, long, { ...options, store: undefined, ...quiet })
    const stop = new AbortController()
    const counts: Progress[] = []
    const part = { layer: 1, head: 0 }
    await headImportance(model, long, { ...options, heads: [part], progress: (p) => counts.push(p) })
    const alone = counts.at(-1)!
    assert.equal(alone.done, alone.total)
    assert.equal(readdirSync(store).length, 1)
    stop.abort(new Error('enough'))
    await assert.rejects(headImportance(model, long, { ...options, signal: stop.signal, ...quiet }), /enough/)
    const later: Progress[] = []
    const found = await headImportance(model, long, { ...options, progress: (p) => later.push(p) })
    for (const name of options.by) assert.deepEqual(found.of(name).values, plain.of(name).values, name)
    const whole: Progress[] = []
    await headImportance(model, long, { by: options.by, progress: (p) => whole.push(p) })
    assert.ok(later.at(-1)!.total < whole.at(-1)!.total, 'all of it was done again')
    assert.match(whole.at(-1)!.doing!, /^measuring \d+ heads in 1 text, about /)
    const again: Progress[] = []
    await headImportance(model, long, { ...options, progress: (p) => again.push(p) })
    assert.equal(again.at(-1)!.total, 0)

    const [file] = readdirSync(store).map((name) => join(store, name))
    for (const [text, why] of [
      ['{', /cannot be gone on from/],
      ['{"format":"x"}', /no file of partial results/],
      [readFileSync(file, 'utf8').replace('"rows":32', '"rows":31'), /another model, text or version/],
      [readFileSync(file, 'utf8').replace('"ablation":[', '"ablation":[1,'), /are not of \d+ heads/],
    ] as const) {
      writeFileSync(file, text)
      await assert.rejects(headImportance(model, long, { ...options, ...quiet }), { code: 'file', message: why })
    }
  })

  it('refuses what does not fit, in sentences', async () => {
    const { layers, heads, context } = model.description
    const refused = (text: unknown, options: object, message: RegExp) =>
      assert.rejects(headImportance(model, text as string, { by: 'entropy', ...quiet, ...options }), {
        code: 'invalid',
        message,
      })
    await refused(ids, { by: 'importance' }, /no measure of heads called "importance"; there are: ablation, /)
    await refused(ids, { by: [] }, /expected names of measures/)
    await refused(ids, { by: undefined }, /expected names of measures/)
    await refused(ids, { heads: [{ layer: layers, head: 0 }] }, /from 0 to \d+ for heads\[0\]\.layer but received \d+/)
    await refused(ids, { heads: [{ layer: 0, head: heads }] }, /for heads\[0\]\.head but received/)
    await refused(ids, { heads: [] }, /at least one/)
    await refused(ids, { heads: ['0-1'] }, /{ layer, head } for each/)
    await refused([[1, 2, 3], [4]], {}, /text 1 has 1 token, 1 too few for entropy, which needs at least 2/)
    await refused(ids.slice(0, 9), { by: 'locality' }, /text 0 has 9 tokens, 8 too few for locality/)
    await refused(
      Array.from({ length: (context >> 1) + 3 }, () => 1),
      { by: 'kvzip' },
      /3 too many for kvzip, which can read at most/,
    )
    await refused(
      Array.from({ length: context + 1 }, () => 1),
      {},
      /more than the \d+ of the model's context/,
    )
    await refused([], {}, /text 0 has no token/)
    await refused([1, 1e6], {}, /for token 1 but received 1000000/)
    await refused(ids, { budget: 3 }, /headImportance has no option "budget"/)
    await refused(ids, { rows: 300 }, /for rows/)
    await refused(ids, { progress: 3 }, /for progress/)
  })
})
