/** H2O as a user writes it: half the budget for the newest tokens, the rest for those with the largest sums of attention. */
import { definePolicy, lowest } from '../../src/index.js'

export const h2o = definePolicy({
  name: 'h2o',
  scores: { decay: 1, window: 'all' },
  evict: ({ heads, position }) =>
    heads.map(({ scores, positions, excess, budget }) =>
      lowest(scores, excess, (slot) => positions[slot] <= position - budget / 2),
    ),
})
