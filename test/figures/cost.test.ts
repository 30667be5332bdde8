/** What the cost figure says: a prompt's price only where it can be told from nothing. */
import assert from 'node:assert/strict'
import { cost } from '../../src/figures/cost.js'
import { costMade } from './synthetic-cost.js'

describe('words of a cost', () => {
  const said = (
    promptMore: { mean: number; low: number | null; high: number | null } | null,
    tokens: number | null,
  ) => {
    const found = costMade()
    const at = { ...found.lengths[found.lengths.length - 1], promptMore, tokens }
    return cost(Object.assign(Object.create(found), { lengths: [...found.lengths.slice(0, -1), at] })).summary
  }

  it('say what a prompt takes more, and after how many tokens that is made up for', () => {
    assert.match(
      said({ mean: 251, low: 201, high: 301 }, 30),
      /takes 0\.251 \[0\.201, 0\.301\] s more, made up for after 30 tokens\.$/,
    )
    assert.match(said({ mean: 251, low: null, high: null }, null), /takes 0\.251 s more, which no step makes up for\.$/)
    assert.match(
      said({ mean: -251, low: -301, high: -201 }, 0),
      /takes less, −0\.251 \[−0\.301, −0\.201\] s, so there is nothing/,
    )
    assert.doesNotMatch(said(null, null), /prompt takes/)
  })

  it('do not, where the interval holds nothing', () => {
    for (const mean of [0.1, -0.1])
      assert.match(
        said({ mean: 1000 * mean, low: -424, high: 1102 }, 80),
        /That its prompt takes longer is not to be told from nothing: −?0\.1 \[−0\.424, 1\.1\] s\.$/,
      )
  })
})
