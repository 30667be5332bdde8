/** The attention map: a head's own attention by brute force, the places of tokens as the tape says, and tiles that lose no maximum. */
import assert from 'node:assert/strict'
import { evictOnly, figures, fullCache, load, zsmerge, type Model, type Run } from '../../../src/index.js'
import { attentionMap, LATER, PLACES } from '../../../src/inspect/attention.js'
import { toyPath } from '../model/files.js'

const PROMPT = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
const CALL = { maxTokens: 12, seed: 1, ignoreEos: true, progress: false } as const
const OF = { layer: 1, kvHead: 1 }
const WHOLE = { rows: 1e6, columns: 1e6 }

describe('attention map', () => {
  let model: Model
  let run: Run
  /** Of slots of two and three tokens, and others. */
  let merging: Run
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    const policy = evictOnly({ budget: 24, recent: 8 })
    run = await model.session({ policy, trace: 'vectors' }).generate(PROMPT, CALL)
    const merges = zsmerge({ budget: 40, recent: 8, residual: 12 })
    merging = await model.session({ policy: merges, trace: 'vectors' }).generate(PROMPT, CALL)
  })
  after(() => model.dispose())

  it('is softmax(q·k/√d) over all keys, and says where the cache had each token', () => {
    const group = 2
    for (const [of, head] of [
      [run, undefined],
      [run, group - 1],
      [merging, undefined],
    ] as const) {
      const [vectors, reads] = [of.vectors(OF), of.reads(OF)]
      const { headDim, keys, queries, firstQuery } = vectors
      assert.equal(vectors.group, group)
      const map = attentionMap(vectors, reads, { ...WHOLE, head })
      assert.deepEqual([map.rows, map.columns], [11, 71])
      reads.forEach(({ position, slots }, row) => {
        const given = new Float64Array(71)
        const heads = head === undefined ? Array.from({ length: group }, (_, i) => i) : [head]
        for (const each of heads) {
          const q = ((position - firstQuery) * group + each) * headDim
          const masses = Array.from({ length: position + 1 }, (_, i) => {
            let dot = 0
            for (let j = 0; j < headDim; j++) dot += queries[q + j] * keys[i * headDim + j]
            return Math.exp(dot / Math.sqrt(headDim))
          })
          const all = masses.reduce((sum, mass) => sum + mass, 0)
          masses.forEach((mass, i) => (given[i] += mass / all / heads.length))
        }
        const held = new Map(
          slots.flatMap(({ origins }) => origins.map((origin) => [origin, origins.length > 1 ? 1 : 0])),
        )
        const mass = [0, 0, 0]
        for (let i = 0; i < 71; i++) {
          const place = i > position ? LATER : (held.get(i) ?? 2)
          assert.equal(map.place[row * 71 + i], place)
          assert.ok(Math.abs(map.attention[row * 71 + i] - given[i]) < 1e-12)
          if (place !== LATER) mass[place] += given[i]
        }
        mass.forEach((sum, place) => assert.ok(Math.abs(map.mass[row * 3 + place] - sum) < 1e-12, PLACES[place]))
        const gone = [...given.keys()].filter((i) => i <= position && !held.has(i))
        const most = gone.reduce((best, i) => (best < 0 || given[i] > given[best] ? i : best), -1)
        assert.equal(map.missed[row], most)
      })
    }
  })

  it('tiles keep the largest probability and the place of that token', () => {
    const [vectors, reads] = [run.vectors(OF), run.reads(OF)]
    const [whole, tiled] = [attentionMap(vectors, reads, WHOLE), attentionMap(vectors, reads, { rows: 3, columns: 10 })]
    assert.deepEqual([tiled.rows, tiled.columns, tiled.rowSize, tiled.columnSize], [3, 9, 4, 8])
    assert.deepEqual([tiled.mass, tiled.missed], [whole.mass, whole.missed])
    for (let tile = 0; tile < 27; tile++) {
      const inside = [...whole.place.keys()].filter(
        (i) => Math.floor(Math.floor(i / 71) / 4) * 9 + Math.floor((i % 71) / 8) === tile && whole.place[i] !== LATER,
      )
      const most = inside.reduce((best, i) => (whole.attention[i] > whole.attention[best] ? i : best), inside[0])
      assert.equal(tiled.attention[tile], inside.length ? whole.attention[most] : 0)
      assert.equal(tiled.place[tile], inside.length ? whole.place[most] : LATER)
    }
  })

  it('is drawn from a run, in text positions, and says what is missing', async () => {
    const figure = figures.attentionMap(run, OF)
    const { mass, positions } = attentionMap(run.vectors(OF), run.reads(OF), WHOLE)
    const gone = positions.reduce((sum, _, at) => sum + mass[at * 3 + 2], 0) / positions.length
    assert.match(
      figure.summary,
      new RegExp(`^Layer 1, kv head 1: ${Math.round(100 * gone)}% of the attention is for tokens that are gone`),
    )
    const { query, position } = figure.columns
    assert.deepEqual([Math.min(...(query as number[])), Math.max(...(position as number[]))], [60, 70])
    const part = figures.attentionMap(run, { ...OF, from: 62, to: 65 })
    assert.deepEqual([...new Set(part.columns.query as number[])], [62, 63, 64])
    const whole = await model
      .session({ policy: fullCache(), trace: { level: 'vectors', layers: [1] } })
      .generate(PROMPT, CALL)
    assert.match(figures.attentionMap(whole, OF).summary, /all of the attention is for tokens in slots of their own/)
    assert.throws(() => figures.attentionMap(whole, { layer: 0 }), /the vectors of layer 0, kv head 0 were not kept/)
    assert.throws(() => figures.attentionMap(run, { ...OF, head: 9 }), /for head but received 9/)
    assert.throws(() => figures.attentionMap(run, { ...OF, from: 71 }), /no query read a cache that had been cut/)
    assert.deepEqual(figures.attentionMap(run.trace, OF).columns, figure.columns)
    assert.throws(() => figures.attentionMap({} as never), /a run of a session with trace: 'vectors', or its trace/)
  })
})
