/** What a red receipt says: each check in a sentence that names where it was broken first (native/test/receipt.cpp plants the faults). */
import assert from 'node:assert/strict'
import { zsmerge } from '../../../src/index.js'
import { native, type NativeReceipt } from '../../../src/native/binding.js'
import { receiptOf } from '../../../src/trace/receipt.js'
import { filledCache } from '../attention-inputs.js'

describe('receipt', () => {
  const policy = zsmerge({ budget: 24, recent: 8, residual: 2 })
  let whole: NativeReceipt
  before(async () => {
    const options = { layers: 3, heads: 4, kvHeads: 2, headDim: 8, policy }
    const cache = await filledCache(options, 40, 10)
    whole = native().cacheReceipt((cache as unknown as { held: { native: never } }).held.native)
    cache.dispose()
  })
  const said = (changed: Partial<NativeReceipt>) => receiptOf({ ...whole, ...changed }, policy, { budget: 24 } as never)

  it('of a whole cache names nothing', () => {
    const { ok, notes } = said({})
    assert.ok(ok)
    assert.equal(notes.length, 1)
    const { weightsLayer, onceLayer, oncePosition, budgetLayer, budgetStep, badLayer } = whole
    assert.deepEqual(
      [weightsLayer, onceLayer, oncePosition, budgetLayer, budgetStep, badLayer],
      [-1, -1, -1, -1, -1, -1],
    )
  })

  for (const [what, changed, sentence] of [
    [
      'weights',
      { weightsSum: 0, weightsLayer: 1, weightsHead: 0, weightsFound: 53 },
      'the weights do not add up to the tokens seen: layer 1, kv head 0 has 53, dropped ones included, of 50',
    ],
    [
      'positions',
      { positionsOnce: 0, onceLayer: 2, onceHead: 1, oncePosition: 7 },
      'a position is in two places or in none: layer 2, kv head 1, position 7',
    ],
    [
      'budget',
      { budgetHeld: 0, budgetLayer: 0, budgetHead: 1, budgetStep: 4 },
      'a head held more slots than the budget: layer 0, kv head 1, step 4',
    ],
    [
      'numbers',
      { finite: 0, badLayer: 1, badHead: 1, badRow: -1 },
      'there is a NaN or an infinity in the cache: layer 1, kv head 1',
    ],
    [
      'queries',
      { finite: 0, badLayer: 1, badHead: 3, badRow: 7 },
      'a query is not a number: layer 1, head 3, position 7',
    ],
  ] as const)
    it(`names the first place: ${what}`, () => {
      const { ok, notes } = said(changed)
      assert.deepEqual([ok, notes[0]], [false, sentence])
    })
})
