/** What a policy takes from heads, on the toy model: against a traced session's own shadow, and the lowest layer against rows of attention. */
import assert from 'node:assert/strict'
import { evictOnly, fullCache, headImportance, load, lorc, zsmerge, type Model } from '../../../src/index.js'
import { watched } from '../../../src/heads/measure.js'
import { draws, toyPath } from '../model/files.js'

const quiet = { progress: false } as const
const ROWS = 12
const BY = ['retainedMass', 'outputError']

describe('heads under a policy', () => {
  let model: Model
  let text: number[]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(41)
    text = Array.from({ length: 70 }, () => draw(model.description.vocabulary))
  })
  after(() => model?.dispose())

  for (const policy of [evictOnly({ budget: 20, recent: 6 }), zsmerge({ budget: 20, recent: 6, residual: 2 })])
    it(`${policy.name}: mass and error are those of a session's shadow, and of the lowest layer's rows`, async () => {
      const found = await headImportance(model, text, { by: BY, policy, rows: ROWS, ...quiet })
      const { layers, heads, kvHeads } = model.description
      const session = model.session({ policy, storage: 'float32', trace: 'vectors' })
      await session.prefill(text.slice(0, -ROWS), quiet)
      for (const id of text.slice(-ROWS)) await session.step(id)
      const local = await session.trace.localShadow(quiet)
      const mean = (at: (row: number) => number) =>
        local.steps.reduce((sum, _, row) => sum + at(row), 0) / local.steps.length
      assert.equal(local.steps.length, ROWS)
      for (let layer = 0; layer < layers; layer++)
        for (let head = 0; head < heads; head++) {
          const at = (row: number) => (row * layers + layer) * heads + head
          const retained = 1 - mean((row) => local.missed[at(row)] + local.blurred[at(row)])
          const error = mean((row) => local.error[at(row)])
          const [mass, output] = BY.map((name) => found.of(name).values[layer][head])
          assert.ok(
            Math.abs(mass - retained) < 1e-5 && Math.abs(output - error) < 1e-5 * (1 + error),
            `${layer}-${head}`,
          )
          assert.ok(mass > 0 && mass < 1 && output > 0)
        }
      // Nothing changes what the lowest layer is given.
      const marks = new Uint8Array(layers * heads).fill(1, 0, heads)
      const rows = new Float32Array(heads * ROWS * text.length)
      const firstRow = text.length - ROWS
      await watched({ model, marks, call: {} }, Int32Array.from(text), { rows, firstRow, rowCount: ROWS })
      for (let head = 0; head < heads; head++) {
        const kvHead = Math.floor(head / (heads / kvHeads))
        let kept = 0
        for (let row = 0; row < ROWS; row++) {
          const { slots } = session.trace.cacheAt({ step: row, layer: 0, kvHead })
          const alone = slots.filter(({ weight }) => weight === 1).map(({ position }) => position)
          for (const position of [...alone, firstRow + row])
            kept += rows[(head * ROWS + row) * text.length + position] / ROWS
        }
        const mass = found.of('retainedMass').values[0][head]
        assert.ok(Math.abs(mass - kept) < 1e-5, `head ${head}: ${mass}, ${kept}`)
      }
      session.dispose()
    })

  it('keep all mass where nothing leaves; at most half of a text is read one by one', async () => {
    const found = await headImportance(model, text.slice(0, 9), { by: BY, policy: fullCache(), rows: 32, ...quiet })
    for (const row of found.of('retainedMass').values) assert.ok(row.every((mass) => mass === 1))
    for (const row of found.of('outputError').values) assert.ok(row.every((error) => error < 1e-5))
    assert.equal(found.facts.policy, String(fullCache()))
  })

  it('need a policy, and one that leaves keys and values as they are', async () => {
    const says = (options: object, message: RegExp, code = 'invalid') =>
      assert.rejects(headImportance(model, text, { by: BY, ...quiet, ...options }), { code, message })
    await says({}, /^retainedMass is measured under a policy: give one, policy: zsmerge\(/)
    await says(
      { by: 'entropy', policy: fullCache() },
      /no measure in `by` depends on it.* add retainedMass or outputError/,
    )
    await says({ policy: 'best' }, /policy/)
    await says({ policy: lorc() }, /lorc changes keys or values as they come/, 'unsupported')
    const abort = new AbortController()
    const progress = () => abort.abort()
    await assert.rejects(headImportance(model, text, { by: BY, policy: evictOnly(), signal: abort.signal, progress }), {
      name: 'AbortError',
    })
  })
})
