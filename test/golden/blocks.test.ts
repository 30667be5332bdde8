/**
 * The types of tensors that are read, and the values of their blocks in scripts/quants.ts, against the gguf package
 * (scripts/make-blocks-golden.py), bit for bit. native/test/blocks.cpp judges the engine by the same file.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { decode } from '../../scripts/quants.js'
import { TENSOR_TYPES } from '../../src/model/gguf.js'
import { goldenPath } from '../src/model/files.js'

const { types } = JSON.parse(readFileSync(goldenPath('blocks.json'), 'utf8')) as {
  types: { name: string; type: number; values: number; bytes: number; blocks: string; widened: string }[]
}
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))

describe('blocks of tensors', () => {
  it('have the sizes that the gguf package knows', () => {
    const sizes = types.map(({ name, type, values, bytes }) => [String(type), { name, block: values, bytes }])
    assert.deepEqual(TENSOR_TYPES, Object.fromEntries(sizes))
  })

  for (const { name, type, values, blocks, widened } of types)
    it(`of ${name} have its values`, () => {
      const expected = new Float32Array(bytes(widened).buffer)
      const found = decode(type, bytes(blocks))
      assert.equal(found.length, expected.length)
      found.forEach((x, i) =>
        assert.ok(
          Object.is(x, expected[i]),
          `block ${Math.floor(i / values)}, value ${i % values}: ${x}, not ${expected[i]}`,
        ),
      )
    })
})
