/** The structs that cross into the addon, as TypeScript believes them to be; compared at load with what the addon says. */
import { ZslabError } from '../errors.js'

export const ABI = 1

type FieldType = 'int32' | 'int64' | 'float32' | 'float64'

/** Fields in order, [name, type]; units where a name does not say: budget, recent, residual in slots or as a share. */
const STRUCTS: Record<string, [string, FieldType][]> = {
  zs_policy: [
    ['kind', 'int32'],
    ['budget', 'float64'],
    ['recent', 'float64'],
    ['residual', 'float64'],
    ['sink', 'int32'],
    ['leastBudget', 'int32'],
    ['leastRecent', 'int32'],
    ['leastResidual', 'int32'],
    ['raiseCounts', 'int32'],
    ['alpha', 'float32'],
    ['decay', 'float32'],
    ['history', 'int32'],
    ['similarity', 'int32'],
    ['scoreMerge', 'int32'],
    ['init', 'int32'],
    ['underfull', 'int32'],
    ['granularity', 'int32'],
    ['aggregate', 'int32'],
    ['window', 'int32'],
    ['chunk', 'int32'],
  ],
  zs_resolved: ['budget', 'recent', 'residual', 'sink', 'context', 'window'].map((name) => [name, 'int32']),
  zs_cache_config: ['layers', 'heads', 'kvHeads', 'headDim', 'storage', 'trace', 'keepQueries'].map((name) => [
    name,
    'int32',
  ]),
  zs_layer_state: [
    ['seqLen', 'int64'],
    ['slots', 'int32'],
    ['residual', 'int32'],
    ['ring', 'int32'],
    ['origins', 'int64'],
  ],
  zs_receipt: [
    ...['seqLen', 'admitted', 'left', 'merged', 'dropped'].map((name): [string, FieldType] => [name, 'int64']),
    ...['weightsSum', 'positionsOnce', 'budgetHeld', 'finite', 'compressed'].map((name): [string, FieldType] => [
      name,
      'int32',
    ]),
  ],
  zs_model_config: [
    ...'arch layers heads kvHeads headDim hidden feedForward vocabulary context ropeDims'
      .split(' ')
      .map((name): [string, FieldType] => [name, 'int32']),
    ['ropeBase', 'float32'],
    ['normEps', 'float32'],
    ['tiedOutput', 'int32'],
    ['weights', 'int32'],
  ],
  zs_call: [
    ['abort', 'int32'],
    ['done', 'int64'],
    ['total', 'int64'],
  ],
}

export interface AddonDescription {
  abi: number
  structs: { name: string; bytes: number; fields: { name: string; type: string; offset: number }[] }[]
}

/** Throws 'native' with the first difference between the addon's structs and these. */
export function checkContract(addon: AddonDescription): void {
  const differs = (what: string) =>
    new ZslabError(
      'native',
      `the native part does not fit this version of zslab (${what}): rebuild it with \`npx zslab build\` (in the project: \`npm run build\`)`,
    )
  if (addon.abi !== ABI) throw differs(`ABI ${addon.abi} instead of ${ABI}`)
  for (const [name, fields] of Object.entries(STRUCTS)) {
    const found = addon.structs.find((struct) => struct.name === name)
    if (!found) throw differs(`${name} is missing`)
    const text = (list: (readonly [string, string])[]) => list.map(([field, type]) => `${field}: ${type}`)
    const expected = text(fields)
    const received = text(found.fields.map((field) => [field.name, field.type] as const))
    const at = expected.findIndex((field, i) => field !== received[i])
    if (at >= 0 || expected.length !== received.length)
      throw differs(`${name}: expected ${expected[at] ?? 'no further field'}, found ${received[at < 0 ? expected.length : at] ?? 'nothing'}`)
  }
  const call = addon.structs.find((struct) => struct.name === 'zs_call')
  const layout = call?.fields.map((field) => field.offset).join()
  // Progress and abort are read and written in place, so here the offsets matter too.
  if (call?.bytes !== CALL_BYTES || layout !== '0,8,16') throw differs('the layout of zs_call')
}

export const CALL_BYTES = 24
