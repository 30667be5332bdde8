/**
 * Measures of heads on the default model against transformers 5.2.0, TransformerLens 4.3.0 (detectors) and kvpress 0.5.5 (duoOnTheFly), float32
 * weights; ablations of a sample of heads (ZSLAB_TEST_SCALE=full: all). Absolute unless said.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after } from 'mocha'
import { headImportance, load, type Model } from '../../src/index.js'
import { repeated } from '../../src/heads/repeated.js'
import { everything } from '../scale.js'
import { defaultModel } from '../src/model/default-model.js'
import { goldenPath } from '../src/model/files.js'

type Arrays = Record<string, string>
const golden = JSON.parse(readFileSync(goldenPath('heads.json'), 'utf8')) as {
  layers: number
  heads: number
  texts: (Arrays & {
    name: string
    ids: number[]
    ablation?: { tokens: number; zero: string; meanHeads: [number, number][]; mean: string }
  })[]
  repeated: (Arrays & { name: string; ids: number[] })[]
}

/** [our name, theirs, tolerance, relative] */
const DETECTORS: [string, string, number][] = ['previous', 'duplicate', 'induction'].flatMap((name) => [
  [name, `${name}Mul`, 2e-5],
  [`${name}Abs`, `${name}Abs`, 1e-3],
  [`${name}Excluding`, `${name}MulExcluding`, 2e-5],
])
const MEASURES: [string, string, number, 'relative'?][] = [
  ['sinkMass', 'sinkMass', 2e-5],
  ['entropy', 'entropy', 2e-5],
  ['effectiveTokens', 'effectiveTokens', 1e-4, 'relative'],
  ['locality', 'locality', 2e-5],
  ['outputNorm', 'outputNorm', 1e-4, 'relative'],
  ...DETECTORS,
]

function floats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64')
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
}

function compared(
  name: string,
  rows: readonly Float64Array[],
  base64: string,
  limit: number,
  relative?: 'relative',
): void {
  const [given, expected] = [rows.flatMap((row) => Array.from(row)), floats(base64)]
  assert.equal(given.length, expected.length, name)
  given.forEach((value, i) => {
    const near = limit * (relative ? Math.abs(expected[i]) : 1)
    assert.ok(Math.abs(value - expected[i]) <= near, `${name}, head ${i}: ${value}, not ${expected[i]}`)
  })
}

describe('golden measures of heads of smollm2-135m', function () {
  this.timeout(600_000)
  let model: Model
  before(async () => {
    model = await load((await defaultModel()).path, { weights: 'float32', progress: false })
  })
  after(() => model?.dispose())

  for (const text of golden.texts)
    it(`of ${text.name}`, async () => {
      const by = [...MEASURES.map(([name]) => name), 'duoOnTheFly', 'distance']
      const found = await headImportance(model, text.ids, { by, progress: false })
      for (const [name, theirs, limit, relative] of MEASURES)
        compared(name, found.of(name).values, text[theirs], limit, relative)
      compared('duoOnTheFly', found.of('duoOnTheFly').kvValues, text.duo, 2e-5)
      // One token before: what the detector of previous tokens sees.
      const before = found.distances!.shares.map((row) => Float64Array.from(row, (shares) => shares[1]))
      compared('a distance of 1', before, text.previousMul, 2e-5)
      const context = text.ids.slice(0, 128)
      const zip = await headImportance(model, context, { by: ['kvzip', 'kvzipSkip4'], progress: false })
      for (const name of ['kvzip', 'kvzipSkip4']) compared(name, zip.of(name).kvValues, text[name], 2e-5)
    })

  for (const text of golden.repeated)
    it(`of ${text.name}`, async () => {
      const marks = new Uint8Array(golden.layers * golden.heads).fill(1)
      const probe = repeated()
      const values = new Map(probe.measures.map(({ name }) => [name, new Float64Array(marks.length).fill(NaN)]))
      await probe.run({
        model,
        ids: Int32Array.from(text.ids),
        marks,
        values,
        more: new Map(),
        tokens: 256,
        rows: 32,
        curve: { shares: [], others: 1 },
        seed: 1,
        call: {},
      })
      for (const [name, found] of values) compared(name, [found], text[name], 2e-5)
      const found = await headImportance(model, text.ids, { by: DETECTORS.map(([name]) => name), progress: false })
      for (const [name, theirs, limit] of DETECTORS) compared(name, found.of(name).values, text[theirs], limit)
    })

  it('ablation, zero and mean', async () => {
    const [{ ids, ablation }] = golden.texts
    const { tokens, zero, meanHeads, mean } = ablation!
    const all = Array.from({ length: golden.layers * golden.heads }, (_, at): [number, number] => [
      Math.floor(at / golden.heads),
      at % golden.heads,
    ])
    const some = meanHeads.filter(([layer]) => everything || layer % 6 === 4)
    const options = { tokens, progress: false } as const
    const near = (name: string, given: number, expected: number) =>
      assert.ok(Math.abs(given - expected) <= 1e-3 * expected + 1e-6, `${name}: ${given}, not ${expected}`)

    const of = (heads: readonly [number, number][], by: string) =>
      headImportance(model, ids, { by, heads: heads.map(([layer, head]) => ({ layer, head })), ...options })
    const zeroed = everything ? all : some
    const zeros = (await of(zeroed, 'ablation')).of('ablation').values
    for (const [layer, head] of zeroed)
      near(`zero ${layer}-${head}`, zeros[layer][head], floats(zero)[layer * golden.heads + head])
    const means = (await of(some, 'ablationMean')).of('ablationMean').values
    for (const [layer, head] of some)
      near(
        `mean ${layer}-${head}`,
        means[layer][head],
        floats(mean)[meanHeads.findIndex(([one, other]) => one === layer && other === head)],
      )
  })
})
