/** The addon's description of its own structs against TypeScript's: any difference is refused with the command that mends it. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import fc from 'fast-check'
import { projectRoot } from '../../src/native/binding.js'
import {
  ABI,
  checkContract,
  checkParameters,
  type AddonDescription,
  type FieldType,
} from '../../src/native/contract.js'
import { POLICIES } from '../../src/policies/index.js'
import { cases } from '../scale.js'

describe('contract', () => {
  const addon = createRequire(import.meta.url)(join(projectRoot, 'build/Release/zslab.node')) as {
    describe(): AddonDescription
  }
  const own = () => structuredClone(addon.describe())
  const refused = (description: AddonDescription, says: RegExp, check = checkContract) =>
    assert.throws(
      () => check(description),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'native')
        assert.match(error.message, /does not fit this version of zslab \(.*\): rebuild it with `npx zslab build`/)
        assert.match(error.message, says)
        return true
      },
    )

  it('holds for the addon that was built', () => checkContract(own()))

  it('names the first difference', () => {
    refused({ ...own(), abi: 99 }, new RegExp(`ABI 99 instead of ${ABI}\\b`))
    const lacking = own()
    lacking.structs = lacking.structs.filter(({ name }) => name !== 'zs_head_state')
    refused(lacking, /zs_head_state is missing/)
    const renamed = own()
    renamed.structs.find(({ name }) => name === 'zs_receipt')!.fields[1].name = 'accepted'
    refused(renamed, /zs_receipt: expected admitted: int64, found accepted: int64/)
    const shorter = own()
    shorter.structs.find(({ name }) => name === 'zs_resolved')!.fields.pop()
    refused(shorter, /zs_resolved: expected read: int32, found nothing/)
    const longer = own()
    longer.structs.find(({ name }) => name === 'zs_resolved')!.fields.push({ name: 'more', type: 'int32', offset: 99 })
    refused(longer, /zs_resolved: expected no further field, found more: int32/)
    const moved = own()
    moved.structs.find(({ name }) => name === 'zs_call')!.fields[1].offset = 4
    refused(moved, /the layout of zs_call/)
  })

  it('holds for the parameters of every policy, and names the first difference', () => {
    const fields = (policy: (typeof POLICIES)[number]) =>
      Object.entries(policy.parameters).map(([name, [type]]): [string, FieldType] => [name, type])
    for (const policy of POLICIES) {
      checkParameters(own(), policy.name, fields(policy))
      const changed = own()
      changed.policies.find(({ name }) => name === policy.name)!.fields[0].name = 'other'
      refused(changed, /expected \w+: \w+, found other: /, (description) =>
        checkParameters(description, policy.name, fields(policy)),
      )
    }
    refused(own(), /it has no policy called nobody/, (description) => checkParameters(description, 'nobody', []))
    assert.deepEqual(
      own()
        .policies.map(({ name }) => name)
        .sort(),
      [...POLICIES.map(({ name }) => name), 'own'].sort(),
    )
  })

  it('no change of a field goes unseen', () => {
    const places = own().structs.flatMap(({ fields }, struct) => fields.map((_, field) => ({ struct, field })))
    const change = fc.constantFrom<(fields: AddonDescription['structs'][0]['fields'], i: number) => void>(
      (fields, i) => (fields[i].name += 'x'),
      (fields, i) => (fields[i].type = fields[i].type === 'int32' ? 'float32' : 'int32'),
      (fields, i) => fields.splice(i, 1),
      (fields, i) => fields.splice(i, 0, { name: 'extra', type: 'int32', offset: 0 }),
    )
    fc.assert(
      fc.property(fc.constantFrom(...places), change, ({ struct, field }, apply) => {
        const description = own()
        const known = /^zs_(resolved|cache_config|layer_state|head_state|receipt|model_config|call)$/
        if (!known.test(description.structs[struct].name)) return
        apply(description.structs[struct].fields, field)
        assert.throws(() => checkContract(description), { code: 'native' })
      }),
      { numRuns: cases(2_000, 300), seed: 4 },
    )
  })
})
