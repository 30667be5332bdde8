/** Policies as data: what another process makes of it is the same policy. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { adakv, definePolicy, evictOnly, lorc, quest, snapkv, think, zsmerge, type Policy } from '../../src/index.js'
import { POLICIES, policyNamed } from '../../src/policies/index.js'
import { policyOfSpec, specOf } from '../../src/policy-spec.js'

const across = (policy: Policy) => policyOfSpec(JSON.parse(JSON.stringify(specOf(policy))))

function same(policy: Policy): void {
  const made = across(policy)
  assert.equal(String(made), String(policy))
  assert.deepEqual(made.native, policy.native)
}

describe('policies as data', () => {
  it('are the same policy again, in every preset', () => {
    for (const definition of POLICIES)
      for (const mode of Object.keys(definition.presets))
        same(
          policyNamed(definition.name, {
            ...(mode && { [definition.preset ?? 'mode']: mode }),
            ...(definition.wraps && { of: snapkv() }),
          }),
        )
  })

  it('are so with any options, wrapped ones too', () => {
    const share = fc.double({ min: 0.01, max: 0.99, noNaN: true })
    const options = fc.record(
      {
        budget: share,
        recent: share,
        decay: share,
        history: fc.constant('off'),
        window: fc.integer({ min: 1, max: 99 }),
      },
      { requiredKeys: [] },
    )
    const made = fc.oneof(
      options.map((of) => ({ make: zsmerge, of: { ...of, alpha: 0 } })),
      options.map((of) => ({ make: evictOnly, of })),
    )
    fc.assert(
      fc.property(made, ({ make, of }) => {
        // A decay beside history 'off' is refused.
        const given = 'history' in of && 'decay' in of ? { ...of, decay: undefined } : of
        same((make as (options: object) => Policy)(given))
      }),
    )
    same(adakv({ of: snapkv({ budget: 0.25, window: 8 }) }))
    same(think({ of: snapkv({ budget: 0.3 }) }))
    same(quest({ budget: 64 }))
    same(lorc())
  })

  it('are none of a user’s own, whatever its name', () => {
    const own = definePolicy({
      name: 'snapkv',
      evict: ({ heads }) => heads.map(({ excess }) => Array(excess).keys()) as never,
    })
    assert.throws(() => specOf(own()), { code: 'unsupported', message: /snapkv is a policy of your own/ })
  })
})
