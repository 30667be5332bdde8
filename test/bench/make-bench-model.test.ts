/** bench/make-bench-model.ts: the same model in F16. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeBenchModel } from '../../bench/make-bench-model.js'
import { encodeParts } from '../../scripts/gguf-writer.js'
import { toyModel } from '../../scripts/make-toy-model.js'
import { fromHalf, toHalf } from '../../scripts/half.js'
import { decode } from '../../scripts/quants.js'
import { describe as describeModel } from '../../src/model/architectures.js'
import { readGguf } from '../../src/model/gguf-parts.js'
import { ownFolder, toyPath, written } from '../src/model/files.js'

const folder = ownFolder()

describe('the bench model', () => {
  it("has the source's metadata and every value to F16", async () => {
    const target = join(folder, 'f16.gguf')
    await makeBenchModel(target, toyPath)
    const [from, to] = [await readGguf(toyPath), await readGguf(target)]
    assert.deepEqual(to.metadata, from.metadata)
    assert.deepEqual(describeModel(to), describeModel(from))
    const [source, file] = [readFileSync(toyPath), readFileSync(target)]
    from.tensors.forEach((t, i) => {
      const made = to.tensors[i]
      assert.deepEqual([made.name, made.shape, made.type], [t.name, t.shape, t.shape.length === 1 ? 0 : 1])
      const wanted = decode(t.type, source.subarray(t.offset, t.offset + t.bytes))
      const values = decode(made.type, file.subarray(made.offset, made.offset + made.bytes))
      if (made.type === 1) wanted.forEach((x, j) => (wanted[j] = fromHalf(toHalf(x))))
      assert.deepEqual(values, wanted, t.name)
    })
  })

  it('of a model in several files is one file, the same', async () => {
    const { metadata, tensors } = toyModel()
    const parts = encodeParts(metadata, tensors, [7, 23])
    const [first] = parts.map((bytes, i) => written(folder, `toy-0000${i + 1}-of-00002.gguf`, bytes))
    const targets = ['whole.gguf', 'joined.gguf'].map((name) => join(folder, name))
    await makeBenchModel(targets[0], toyPath)
    await makeBenchModel(targets[1], first)
    assert.ok(readFileSync(targets[1]).equals(readFileSync(targets[0])))
  })
})
