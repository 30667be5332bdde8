/**
 * Mode `reference` against eight recorded runs of the public ZSMerge (zsmerge_reference.json), decision by decision, through
 * createCache: every step, every checkpoint. Inputs are made by a generator that the file describes; only float32 storage.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createCache, zsmerge, type Cache } from '../../src/index.js'
import { TOLERANCES } from '../tolerances.js'

interface GoldenState {
  keys: string
  values: string
  weights: string
  scores: string
  origins: number[][][]
}
interface GoldenCase {
  name: string
  seed: number
  layers: number
  heads: number
  kvHeads: number
  headDim: number
  promptTokens: number
  steps: number
  clusters: number
  focusGain: number
  focusSpan: number
  reference: {
    cache_budget: number
    cache_tail: number
    cache_dense: number
    scale_factor: number
    shrink_factor: number
    metric: 'dot_product' | 'l2'
    score_update: 'max' | 'sum'
  }
  resolved: { budget: number; recent: number; residual: number }
  inputCheck: Record<'keys' | 'values' | 'queries', number[]> &
    Record<'lastKey' | 'lastQuery' | 'sumKeys' | 'sumValues' | 'sumQueries', number>
  prefill: { rows: number[]; outputs: string; state: GoldenState[] }
  decode: {
    victim: number[][][]
    target: number[][][]
    leaver: number[]
    outputSteps: number[]
    outputs: string
    checkpoints: { step: number; state: GoldenState[] }[]
  }
}

const golden = JSON.parse(readFileSync(new URL('./zsmerge_reference.json', import.meta.url), 'utf8')) as {
  cases: GoldenCase[]
}
const ADMIT = 0
const LEAVE = 1
const MERGE = 2

const floats = (text: string): Float32Array => {
  const bytes = Buffer.from(text, 'base64')
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
}

/** Keys, values and queries [layers][tokens][kvHeads or heads][headDim], exact in float32. */
function inputs(c: GoldenCase) {
  let x = c.seed >>> 0
  const draw = () => (x = (Math.imul(1664525, x) + 1013904223) >>> 0) >>> 16
  const r = () => (draw() - 32768) / 32768
  const keys: number[] = []
  const values: number[] = []
  const queries: number[] = []
  const group = c.heads / c.kvHeads
  for (let layer = 0; layer < c.layers; layer++) {
    const centre = Array.from({ length: c.clusters * c.kvHeads * c.headDim }, r)
    for (let t = 0; t < c.promptTokens + c.steps; t++) {
      const own = draw() % c.clusters
      const focus = Math.floor(t / c.focusSpan) % c.clusters
      const at = (cluster: number, kvHead: number, i: number) => centre[(cluster * c.kvHeads + kvHead) * c.headDim + i]!
      for (let g = 0; g < c.kvHeads; g++) for (let i = 0; i < c.headDim; i++) keys.push(at(own, g, i) + 0.5 * r())
      for (let i = 0; i < c.kvHeads * c.headDim; i++) values.push(r())
      for (let h = 0; h < c.heads; h++)
        for (let i = 0; i < c.headDim; i++) queries.push(r() + c.focusGain * at(focus, Math.floor(h / group), i))
    }
  }
  return { keys, values, queries }
}

/** Tokens [from, from + count) of one layer as [heads, count, headDim]. */
function rows(all: number[], c: GoldenCase, layer: number, heads: number, from: number, count: number): Float32Array {
  const out = new Float32Array(heads * count * c.headDim)
  for (let h = 0; h < heads; h++)
    for (let t = 0; t < count; t++)
      for (let i = 0; i < c.headDim; i++)
        out[(h * count + t) * c.headDim + i] =
          all[((layer * (c.promptTokens + c.steps) + from + t) * heads + h) * c.headDim + i]!
  return out
}

function near(given: Float32Array, expected: Float32Array, what: string, relative = false): void {
  assert.equal(given.length, expected.length, `${what}: the number of elements`)
  for (let i = 0; i < given.length; i++) {
    const limit = relative ? TOLERANCES.score * Math.max(1, Math.abs(expected[i]!)) : TOLERANCES.element
    const off = Math.abs(given[i]! - expected[i]!)
    if (!(off <= limit)) assert.fail(`${what}: element ${i} is ${given[i]}, not ${expected[i]}`)
  }
}

function sameState(cache: Cache, c: GoldenCase, expected: GoldenState[], when: string): void {
  for (let layer = 0; layer < c.layers; layer++) {
    const what = `${when}, layer ${layer}`
    const state = cache.state(layer)
    const wanted = expected[layer]!
    assert.deepEqual(state.origins, wanted.origins, `${what}: origins`)
    assert.deepEqual([...state.weights], [...floats(wanted.weights)], `${what}: weights`)
    near(state.keys, floats(wanted.keys), `${what}: keys`)
    near(state.values, floats(wanted.values), `${what}: values`)
    near(state.scores, floats(wanted.scores), `${what}: scores`, true)
  }
}

/** What the events of step `step` (from event `from` on) say of each layer and kv head. */
function decisions(cache: Cache, c: GoldenCase, step: number, from: number) {
  const grid = () => Array.from({ length: c.layers }, () => new Array<number>(c.kvHeads).fill(-1))
  const victim = grid()
  const target = grid()
  const leaver = grid()
  const admitted = grid()
  const events = cache.events()
  for (let i = from; i < events.count; i++) {
    const [layer, head] = [events.layer[i]!, events.kvHead[i]!]
    assert.equal(events.step[i], step + 1, 'the step of an event')
    if (events.action[i] === MERGE) {
      assert.equal(victim[layer]![head], -1, 'one merge per head and step')
      victim[layer]![head] = events.slot[i]!
      target[layer]![head] = events.target[i]!
    }
    if (events.action[i] === LEAVE) leaver[layer]![head] = events.slot[i]!
    if (events.action[i] === ADMIT) admitted[layer]![head] = events.slot[i]!
  }
  return { victim, target, leaver, admitted, count: events.count }
}

describe('golden runs of the public ZSMerge', function () {
  this.timeout(300_000)

  it('are all there', () => assert.equal(golden.cases.length, 8))

  for (const c of golden.cases)
    it(`${c.name}: ${c.heads} heads on ${c.kvHeads}, prompt ${c.promptTokens}, ${c.steps} steps`, async () => {
      const all = inputs(c)
      checkInputs(c, all)
      const cache = createCache({
        layers: c.layers,
        heads: c.heads,
        kvHeads: c.kvHeads,
        headDim: c.headDim,
        policy: zsmerge({
          mode: 'reference',
          budget: c.reference.cache_budget,
          recent: c.reference.cache_tail,
          residual: c.reference.cache_dense,
          alpha: c.reference.scale_factor,
          decay: c.reference.shrink_factor,
          similarity: c.reference.metric === 'l2' ? 'l2' : 'dot',
          scoreMerge: c.reference.score_update,
        }),
      })
      const part = (layer: number, from: number, count: number) =>
        [
          rows(all.queries, c, layer, c.heads, from, count),
          rows(all.keys, c, layer, c.kvHeads, from, count),
          rows(all.values, c, layer, c.kvHeads, from, count),
        ] as const

      const prompt = floats(c.prefill.outputs)
      const perLayer = c.heads * c.prefill.rows.length * c.headDim
      for (let layer = 0; layer < c.layers; layer++) {
        const out = await cache.prefill(layer, ...part(layer, 0, c.promptTokens))
        const picked = Float32Array.from({ length: perLayer }, (_, i) => {
          const row = Math.floor(i / c.headDim)
          const head = Math.floor(row / c.prefill.rows.length)
          const token = c.prefill.rows[row % c.prefill.rows.length]!
          return out[(head * c.promptTokens + token) * c.headDim + (i % c.headDim)]!
        })
        near(picked, prompt.subarray(layer * perLayer, (layer + 1) * perLayer), `prompt outputs, layer ${layer}`)
      }
      const { budget, recent, residual } = cache.resolved!
      assert.deepEqual({ budget, recent, residual }, c.resolved)
      sameState(cache, c, c.prefill.state, 'after the prompt')

      const outputs = floats(c.decode.outputs)
      const size = c.heads * c.headDim
      let checked = 0
      let compared = 0
      let seen = cache.events().count
      for (let step = 0; step < c.steps; step++) {
        const recorded = c.decode.outputSteps.indexOf(step)
        for (let layer = 0; layer < c.layers; layer++) {
          const out = await cache.step(layer, ...part(layer, c.promptTokens + step, 1))
          if (recorded < 0) continue
          const from = (recorded * c.layers + layer) * size
          near(out, outputs.subarray(from, from + size), `output of step ${step}, layer ${layer}`)
          compared++
        }
        const made = decisions(cache, c, step, seen)
        seen = made.count
        assert.deepEqual(made.victim, c.decode.victim[step], `victims of step ${step}`)
        assert.deepEqual(made.target, c.decode.target[step], `targets of step ${step}`)
        const full = c.decode.victim[step]![0]![0] !== -1
        for (const leaver of made.leaver.flat())
          assert.equal(leaver, full ? c.decode.leaver[step] : -1, `leaver of step ${step}`)
        if (full) for (const slot of made.admitted.flat()) assert.equal(slot, c.decode.leaver[step], `place at ${step}`)
        const checkpoint = c.decode.checkpoints.find((one) => one.step === step)
        if (!checkpoint) continue
        sameState(cache, c, checkpoint.state, `after step ${step}`)
        checked++
      }
      assert.equal(checked, c.decode.checkpoints.length)
      assert.equal(compared, c.decode.outputSteps.length * c.layers)
      cache.dispose()
    })
})

function checkInputs(c: GoldenCase, all: ReturnType<typeof inputs>): void {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
  assert.deepEqual(all.keys.slice(0, 4), c.inputCheck.keys)
  assert.deepEqual(all.values.slice(0, 4), c.inputCheck.values)
  assert.deepEqual(all.queries.slice(0, 4), c.inputCheck.queries)
  assert.equal(all.keys.at(-1), c.inputCheck.lastKey)
  assert.equal(all.queries.at(-1), c.inputCheck.lastQuery)
  for (const [given, expected] of [
    [sum(all.keys), c.inputCheck.sumKeys],
    [sum(all.values), c.inputCheck.sumValues],
    [sum(all.queries), c.inputCheck.sumQueries],
  ] as const)
    assert.ok(Math.abs(given - expected) < 1e-6 * Math.max(1, Math.abs(expected)), `sum ${given}, not ${expected}`)
}
