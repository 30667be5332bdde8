/** Packed weights in the cache folder: made by the first load, listed, cleared under those who have them mapped, and where none can be made. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { after, before } from 'mocha'
import { cacheClear, cacheList, load, type Model } from '../../../src/index.js'
import { ownFolder, toyPath } from './files.js'

describe('packed weights', () => {
  const folder = ownFolder()
  const saved = process.env.ZSLAB_CACHE
  let fresh = 0
  const use = (name: string) => (process.env.ZSLAB_CACHE = join(folder, name))
  beforeEach(() => void use(`cache-${fresh++}`))
  after(() => {
    if (saved === undefined) delete process.env.ZSLAB_CACHE
    else process.env.ZSLAB_CACHE = saved
  })
  const toy = () => load(toyPath, { progress: false })
  const logits = (model: Model) => model.session().prefill('it was the best of times')
  const packedFolder = () => join(process.env.ZSLAB_CACHE!, 'packed')
  let judge: Float32Array
  before(async () => {
    use('none')
    const model = await toy()
    judge = await logits(model)
    model.dispose()
  })

  it('are made once, named by the model, and mapped by the next load', async () => {
    const stages: string[] = []
    for (const hashed of [true, false]) {
      stages.length = 0
      const model = await load(toyPath, { progress: ({ stage }) => stages.push(stage) })
      assert.equal(stages.includes('hashing'), hashed)
      assert.deepEqual([model.held.mapped, model.held.why, model.bytes], [true, '', model.held.bytes])
      assert.deepEqual(await logits(model), judge)
      const types = Object.entries(model.held.types)
      assert.ok(types.length > 0)
      const text = inspect(model)
      for (const [type] of types) assert.ok(text.includes(`${type} `), text)
      assert.match(text, /weights as in the file: .* [kM]B; mapped\n/)
      const { packed, leftoverBytes } = await cacheList()
      assert.deepEqual([packed.length, packed[0].model, leftoverBytes], [1, toyPath, 0])
      assert.ok(packed[0].bytes >= model.bytes)
      model.dispose()
    }
  })

  it('are cleared under a model that has them mapped, which is not hurt', async () => {
    const model = await toy()
    const [{ path, bytes }] = (await cacheList()).packed
    const cleared = await cacheClear()
    assert.deepEqual(cleared.packed, [{ model: toyPath, path, bytes }])
    assert.ok(cleared.bytes >= bytes && !existsSync(packedFolder()))
    assert.deepEqual(await logits(model), judge)
    const next = await toy()
    assert.ok(next.held.mapped && existsSync(path))
    assert.deepEqual(await logits(next), judge)
    for (const one of [model, next]) one.dispose()
  })

  it('of dead processes and other versions go with the next load', async () => {
    ;(await toy()).dispose()
    const [own] = readdirSync(packedFolder()).filter((name) => name.endsWith('.weights'))
    const { pid } = spawnSync(process.execPath, ['-e', ''])
    const older = own.replace(/-v\d+\./, '-v0.')
    const dead = `${'1'.repeat(64)}-v1.weights.packing-${pid}-0`
    for (const name of [older, dead]) writeFileSync(join(packedFolder(), name), Buffer.alloc(700))
    const other = `${'2'.repeat(64)}-v0.weights`
    writeFileSync(join(packedFolder(), other), '')
    assert.equal((await cacheList()).leftoverBytes, 700)
    ;(await toy()).dispose()
    assert.deepEqual(readdirSync(packedFolder()).sort(), [own, other, 'sums.json'].sort())
    assert.equal((await cacheList()).leftoverBytes, 0)
  })

  it('that cannot be kept are private, and the model and its card say why in a sentence', async () => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'file'), '')
    use('file/below')
    const model = await toy()
    assert.equal(model.held.mapped, false)
    assert.match(
      model.held.why,
      /^packed weights could not be kept \(Not a directory: .*file\/below\/packed\/[0-9a-f]{64}-v\d+\.weights\), so they are in memory of this process alone: expected a cache folder that may be written, with .*B free; .* ZSLAB_CACHE/,
    )
    assert.deepEqual(await logits(model), judge)
    const run = await model.session().generate('it was', { maxTokens: 2, progress: false })
    assert.deepEqual(run.card.held, model.held)
    assert.ok(inspect(run.card).includes(model.held.why), inspect(run.card))
    model.dispose()
  })
})
