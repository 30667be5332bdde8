/** What a study tries: settings of policies, by the dimensions that it varies. */
import { invalid, object } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { policyOf, type Policy } from '../policies/index.js'
import { combinationsOf, firstLevels, type Design, type Dimensions, type Level, type Levels } from './designs.js'

/** Makes a policy of options: zsmerge, or (options) => evictOnly({ of: zsmerge(options) }). */
export type PolicyMaker = (options: never) => Policy

export interface Setting {
  /** By dimension. */
  levels: Levels
  /** Its policy: one that draws takes the seed, unless the study gives it one. */
  policy(seed: number): Policy
}

export interface SettingsAsked {
  makers: readonly PolicyMaker[]
  base: Readonly<Record<string, unknown>>
  over: Dimensions
  design: Design
}

/** What levels several policies are told apart by. */
export const POLICY = 'policy'

/** Levels by dimension, as they were given; the first of each is what effects are relative to. Errors: 'invalid'. */
export function dimensionsOf(over: unknown): Record<string, readonly Level[]> {
  for (const [name, levels] of Object.entries(object('over', over)) as [string, unknown][]) {
    if (name === POLICY)
      throw invalid('over', 'options of the policy', name, 'give several policies as policy: [zsmerge, snapkv]')
    if (!Array.isArray(levels) || !levels.length)
      throw invalid(`over.${name}`, 'an array of at least one level', levels)
    levels.forEach((level: unknown, i) => {
      if (level !== null && !['string', 'number', 'boolean'].includes(typeof level))
        throw invalid(`over.${name}[${i}]`, 'a number, a word, true or false', level)
      if (levels.indexOf(level) !== i) throw invalid(`over.${name}`, 'levels that each stand there once', level)
    })
  }
  return over as Record<string, readonly Level[]>
}

/** Every setting of the design, each once. Errors: 'invalid' naming the setting that a policy refuses. */
export function settingsOf({ makers, base, over, design }: SettingsAsked): Setting[] {
  const named = makers.map((make) => ({ make, name: made(make, { ...base, ...firstLevels(over) }).name }))
  const names = named.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw invalid('policy', 'policies of different names', twice, 'vary options with over')
  const dimensions = { ...(makers.length > 1 && { [POLICY]: names }), ...over }
  return combinationsOf(dimensions, design).map((levels) => {
    const { [POLICY]: name, ...options } = levels
    const { make } = named.find((one) => one.name === name) ?? named[0]
    const given = { ...base, ...(makers.length > 1 ? options : levels) }
    const first = made(make, given)
    const draws = 'seed' in first.options && !('seed' in given)
    return { levels, policy: (seed) => (draws ? made(make, { ...given, seed }) : first) }
  })
}

function made(make: PolicyMaker, options: object): Policy {
  try {
    return policyOf((make as (options: object) => Policy)(options), 'what policy gives')
  } catch (error) {
    if (!(error instanceof ZslabError)) throw error
    const given = Object.entries(options).map(([name, value]) => `${name}: ${shown(value)}`)
    const setting = given.length ? `the setting { ${given.join(', ')} } cannot be: ` : ''
    throw new ZslabError(error.code, setting + error.message, { cause: error })
  }
}
