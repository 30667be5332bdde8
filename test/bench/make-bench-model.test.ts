/** bench/make-bench-model.ts: the same model in F16. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeBenchModel } from '../../bench/make-bench-model.js'
import { decode, fromHalf, toHalf } from '../../scripts/quants.js'
import { describe as describeModel } from '../../src/model/architectures.js'
import { readGguf } from '../../src/model/gguf-parts.js'
import { ownFolder, toyPath } from '../src/model/files.js'

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
})
