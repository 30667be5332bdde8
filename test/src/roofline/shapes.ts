/** Shapes for the tests of predictions. */
import fc from 'fast-check'
import type { ModelShape } from '../../../src/roofline/shapes.js'

export const anyShape: fc.Arbitrary<ModelShape> = fc
  .record({
    layers: fc.integer({ min: 1, max: 80 }),
    group: fc.integer({ min: 1, max: 8 }),
    kvHeads: fc.integer({ min: 1, max: 64 }),
    headDim: fc.integer({ min: 1, max: 128 }).map((half) => 2 * half),
    hidden: fc.integer({ min: 16, max: 8192 }),
    feedForward: fc.integer({ min: 16, max: 30_000 }),
    vocabulary: fc.integer({ min: 100, max: 200_000 }),
    tiedOutput: fc.boolean(),
    qkvBias: fc.boolean(),
  })
  .map(({ group, ...shape }) => ({ name: 'any', context: 8192, ...shape, heads: group * shape.kvHeads }))
