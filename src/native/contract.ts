/** The structs that cross into the addon, as TypeScript believes them to be; compared at load with what the addon says. */
import { ZslabError } from '../errors.js'

export const ABI = 13

export type FieldType = 'int32' | 'int64' | 'float32' | 'float64'

/** Fields in order, [name, type]. Parameters of policies are declared by the policies (checkParameters). */
const STRUCTS: Record<string, [string, FieldType][]> = {
  zs_resolved: ['budget', 'recent', 'residual', 'sink', 'context', 'window', 'read'].map((name) => [name, 'int32']),
  zs_traits: ['acts', 'rotates', 'endless', 'stride', 'projects', 'alters'].map((name) => [name, 'int32']),
  zs_rotation: [
    ['dims', 'int32'],
    ['halves', 'int32'],
    ['base', 'float64'],
  ],
  zs_device: [
    ['number', 'int32'],
    ['memory', 'int64'],
  ],
  zs_cache_config: ['layers', 'heads', 'kvHeads', 'headDim', 'storage', 'trace', 'keepQueries', 'origins'].map((name) => [
    name,
    'int32',
  ]),
  zs_layer_state: [
    ['seqLen', 'int64'],
    ['slots', 'int64'],
    ['origins', 'int64'],
  ],
  zs_head_state: ['slots', 'residual', 'ring', 'compressed', 'read'].map((name) => [name, 'int32']),
  zs_receipt: [
    ...['seqLen', 'admitted', 'left', 'merged', 'dropped'].map((name): [string, FieldType] => [name, 'int64']),
    ...['weightsSum', 'positionsOnce', 'budgetHeld', 'finite', 'compressed'].map((name): [string, FieldType] => [
      name,
      'int32',
    ]),
    ['badLayer', 'int32'],
    ['badHead', 'int32'],
    ['badRow', 'int64'],
    ['oncePosition', 'int64'],
    ['budgetStep', 'int64'],
    ['weightsFound', 'float64'],
    ...'onceLayer onceHead budgetLayer budgetHead weightsLayer weightsHead'
      .split(' ')
      .map((name): [string, FieldType] => [name, 'int32']),
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

export interface StructDescription {
  name: string
  bytes: number
  fields: { name: string; type: string; offset: number }[]
}

export interface AddonDescription {
  abi: number
  structs: StructDescription[]
  policies: (StructDescription & { wraps: boolean })[]
}

const differs = (what: string) =>
  new ZslabError(
    'native',
    `the native part does not fit this version of zslab (${what}): rebuild it with \`npx zslab build\` (in the project: \`npm run build\`)`,
  )

function sameFields(found: StructDescription, fields: readonly (readonly [string, FieldType])[]): void {
  const text = (list: readonly (readonly [string, string])[]) => list.map(([field, type]) => `${field}: ${type}`)
  const expected = text(fields)
  const received = text(found.fields.map((field) => [field.name, field.type] as const))
  const at = expected.findIndex((field, i) => field !== received[i])
  if (at >= 0 || expected.length !== received.length)
    throw differs(
      `${found.name}: expected ${expected[at] ?? 'no further field'}, found ${received[at < 0 ? expected.length : at] ?? 'nothing'}`,
    )
}

/** Throws 'native' with the first difference between the addon's structs and these. */
export function checkContract(addon: AddonDescription): void {
  if (addon.abi !== ABI) throw differs(`ABI ${addon.abi} instead of ${ABI}`)
  for (const [name, fields] of Object.entries(STRUCTS)) {
    const found = addon.structs.find((struct) => struct.name === name)
    if (!found) throw differs(`${name} is missing`)
    sameFields(found, fields)
  }
  const call = addon.structs.find((struct) => struct.name === 'zs_call')
  const layout = call?.fields.map((field) => field.offset).join()
  // Progress and abort are read and written in place, so here the offsets matter too.
  if (call?.bytes !== CALL_BYTES || layout !== '0,8,16') throw differs('the layout of zs_call')
}

/** The same for the parameters of the policy called `name`. */
export function checkParameters(
  addon: AddonDescription,
  name: string,
  fields: readonly (readonly [string, FieldType])[],
): void {
  const found = addon.policies.find((policy) => policy.name === name)
  if (!found) throw differs(`it has no policy called ${name}`)
  sameFields(found, fields)
}

export const CALL_BYTES = 24
