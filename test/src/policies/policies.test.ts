/** Presets by mode, overrides, aliases, and what is refused with which sentence. No engine needed. */
import assert from 'node:assert/strict'
import { ZslabError } from '../../../src/errors.js'
import { evictOnly, fullCache, streaming, zsmerge } from '../../../src/index.js'
import { policyNamed, policyOf, POLICIES } from '../../../src/policies/index.js'

const refused = (make: () => unknown, code: string, says: RegExp) =>
  assert.throws(make, (error) => error instanceof ZslabError && error.code === code && says.test(error.message))

describe('policies', () => {
  it('zsmerge has the presets of spec 5a', () => {
    const {
      options: fixed,
      native: { parameters: native },
    } = zsmerge()
    assert.deepEqual([fixed.budget, fixed.recent, fixed.residual, fixed.alpha, fixed.decay], [0.2, 0.5, 0.02, 1, 0.98])
    assert.deepEqual([native.leastBudget, native.leastRecent, native.leastResidual, native.raiseCounts], [16, 1, 1, 0])
    assert.deepEqual([native.init, native.underfull, native.window, native.history], [0, 0, 0, 1])
    const paper = zsmerge({ mode: 'paper' }).native.parameters
    assert.deepEqual({ ...paper, init: 0 }, { ...native })
    assert.equal(paper.init, 1)
    const { budget, parameters: reference } = zsmerge({ mode: 'reference' }).native
    assert.deepEqual([budget, reference.recent, reference.residual], [0.2, 0.1, 1])
    assert.deepEqual(
      [reference.leastBudget, reference.leastRecent, reference.leastResidual, reference.raiseCounts],
      [0, 2, 1, 1],
    )
    assert.deepEqual([reference.init, reference.underfull, reference.window], [0, 1, -1])
  })

  it('every option overrides every preset', () => {
    const own = { budget: 77, recent: 9, residual: 3, sink: 2, alpha: 0.5, decay: 0.9, chunk: 7, window: 12 }
    for (const mode of ['fixed', 'paper', 'reference'] as const) {
      const { native } = zsmerge({ mode, ...own })
      const { budget, chunk, parameters } = native
      for (const [name, value] of Object.entries(own))
        assert.equal({ ...parameters, budget, chunk }[name], value, `${mode} ${name}`)
    }
    const words = zsmerge({
      similarity: 'cosine',
      scoreMerge: 'sum',
      init: 'similarity',
      underfull: 'first-tokens',
      window: 'all',
    })
    const { similarity, scoreMerge, init, underfull, window } = words.native.parameters
    assert.deepEqual([similarity, scoreMerge, init, underfull, window], [2, 1, 1, 1, -1])
    assert.equal(zsmerge({ similarity: 'l2' }).native.parameters.similarity, 1)
    assert.equal(zsmerge({ history: 'off' }).native.parameters.history, 0)
  })

  it('takes upstream names at the edge only', () => {
    const given = { cache_budget: 24, cache_tail: 6, cache_dense: 1, scale_factor: 0.6, shrink_factor: 0.9 }
    const policy = policyNamed('zsmerge', given)
    assert.deepEqual(policy.native, zsmerge({ budget: 24, recent: 6, residual: 1, alpha: 0.6, decay: 0.9 }).native)
    assert.ok(!('cache_budget' in policy.options))
    refused(() => policyNamed('zsmerge', { cache_budget: 3, budget: 4 }), 'invalid', /the same: leave one out/)
  })

  it('says what is wrong with an option', () => {
    refused(
      () => zsmerge({ budget: NaN }),
      'invalid',
      /expected a share below 1 or a count of slots for budget but received NaN/,
    )
    refused(() => zsmerge({ budget: 1.5 }), 'invalid', /whole count of slots for budget but received 1.5/)
    refused(() => zsmerge({ budget: 0 }), 'invalid', /above 0/)
    refused(() => zsmerge({ recent: 0 }), 'invalid', /the least is 1/)
    refused(() => zsmerge({ decay: 0 }), 'invalid', /above 0 and up to 1/)
    refused(() => zsmerge({ decay: 1.01 }), 'invalid', /above 0 and up to 1/)
    refused(() => zsmerge({ alpha: '1' as never }), 'invalid', /alpha but received "1"/)
    refused(() => zsmerge({ bugdet: 3 } as never), 'invalid', /zsmerge has no option "bugdet"/)
    refused(() => zsmerge({ mode: 'best' as never }), 'invalid', /one of 'fixed', 'paper', 'reference'/)
    refused(() => zsmerge({ granularity: 'token' as never }), 'invalid', /'head', 'layer', 'model'/)
    refused(() => zsmerge({ aggregate: 'median' as never }), 'invalid', /'mean', 'score', 'medoid'/)
    refused(() => zsmerge({ aggregate: 'score', history: 'off' }), 'invalid', /go by scores/)
    refused(() => zsmerge({ aggregate: 'medoid', keys: 'fixed' }), 'invalid', /contradict each other/)
    refused(() => zsmerge({ aggregate: 'score', values: 'fixed' }), 'invalid', /contradict each other/)
    refused(() => zsmerge({ history: 'off', decay: 0.9 }), 'invalid', /no scores to decay/)
    refused(() => streaming({ alpha: 1 } as never), 'invalid', /streaming has no option "alpha"/)
    refused(() => streaming({ positions: 'relative' as never }), 'invalid', /one of 'absolute', 'cache' for positions/)
    refused(() => streaming({ stride: 64 }), 'invalid', /0 with positions 'absolute'.* but received 64: leave it out/)
    refused(() => streaming({ positions: 'cache', stride: -1 }), 'invalid', /stride but received -1/)
    refused(() => zsmerge(7 as never), 'invalid', /an object for zsmerge/)
    refused(() => policyNamed('h2o'), 'invalid', /there are: full, zsmerge, streaming, evict-only, snapkv/)
    refused(() => policyOf(zsmerge), 'invalid', /call it, as in policy: zsmerge\(\)/)
    refused(() => policyOf({ name: 'zsmerge' }), 'invalid', /a policy such as/)
  })

  it('special cases are what the issue says', () => {
    assert.deepEqual(streaming().native.parameters, { sink: 4, positions: 0, stride: 0 })
    assert.deepEqual(streaming({ positions: 'cache' }).native.parameters, { sink: 4, positions: 1, stride: 256 })
    assert.deepEqual(
      [streaming(), streaming({ positions: 'cache' }), zsmerge()].map(({ rotates, endless }) => [rotates, endless]),
      [
        [false, false],
        [true, true],
        [false, false],
      ],
    )
    assert.deepEqual(
      Object.keys(evictOnly().options),
      Object.keys(POLICIES.find(({ name }) => name === 'evict-only')!.options),
    )
    assert.deepEqual([fullCache().native.budget, fullCache().native.parameters.history], [0, 0])
    assert.deepEqual(
      [fullCache().acts, zsmerge().acts, evictOnly().acts, streaming().acts],
      ['never', 'always', 'always', 'always'],
    )
    for (const policy of POLICIES) assert.match(policy.citation, /^@\w+\{/, policy.name)
  })
})
