/** The encoders and decoders of tensors that scripts and tests write files with. */
import assert from 'node:assert/strict'
import { fromHalf, toBfloat16, toHalf } from '../../../scripts/half.js'
import { decode, encode } from '../../../scripts/quants.js'
import { TENSOR_TYPES } from '../../../src/model/gguf.js'

describe('the encodings of tensors', () => {
  it('are undone as closely as their blocks allow', () => {
    for (let half = 0; half < 0x7c00; half++) {
      assert.equal(toHalf(fromHalf(half)), half)
      assert.equal(toHalf(-fromHalf(half)), half | 0x8000)
    }
    assert.equal(toHalf(1 + 2 ** -11), 0x3c00, 'ties go to even')
    assert.equal(toHalf(1 + 3 * 2 ** -11), 0x3c02)
    assert.equal(toHalf(65520), 0x7c00)
    assert.equal(toBfloat16(1 + 2 ** -8), 0x3f80, 'ties go to even')
    assert.equal(toBfloat16(1 + 3 * 2 ** -8), 0x3f82)
    const values = Float32Array.from({ length: 512 }, (_, i) => Math.fround(Math.sin(i * 7)))
    // Half a step of the widest block, and what its two-byte scales add.
    const most: Record<string, number> = {
      F32: 0, F16: 5e-4, BF16: 2e-3, Q4_0: 0.13, Q4_1: 0.07, Q5_0: 0.064, Q5_1: 0.034, Q8_0: 5e-3, Q4_K: 0.1, Q5_K: 0.06, Q6_K: 0.04,
    } // prettier-ignore
    for (const [number, { name, block, bytes }] of Object.entries(TENSOR_TYPES)) {
      const encoded = encode(Number(number), values)
      assert.equal(encoded.length, (values.length / block) * bytes, name)
      const back = decode(Number(number), encoded)
      const worst = values.reduce((a, x, i) => Math.max(a, Math.abs(x - back[i])), 0)
      assert.ok(worst <= most[name], `${name}: off by ${worst}`)
      const zeros = decode(Number(number), encode(Number(number), new Float32Array(256)))
      assert.ok(
        zeros.every((x) => x === 0),
        name,
      )
    }
  })
})
