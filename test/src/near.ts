/** Numbers that two orders of the same sums make: alike but for their last digits. */
import assert from 'node:assert/strict'

export function near(given: ArrayLike<number>, expected: ArrayLike<number>, limit = 1e-12): void {
  assert.equal(given.length, expected.length)
  for (let i = 0; i < given.length; i++)
    assert.ok(
      Math.abs(given[i] - expected[i]) <= limit * Math.max(1, Math.abs(expected[i])),
      `${i}: ${given[i]}, ${expected[i]}`,
    )
}
