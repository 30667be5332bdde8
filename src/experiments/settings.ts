/** What a study tries: settings of policies, by the dimensions that it varies. */
import { invalid, object } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { policyOf, type Policy } from '../policies/index.js'

/** A level of a dimension. */
export type Level = string | number | boolean | null

/** Makes a policy of options: zsmerge, or (options) => evictOnly({ of: zsmerge(options) }). */
export type PolicyMaker = (options: never) => Policy

export interface Setting {
  /** By dimension. */
  levels: Readonly<Record<string, Level>>
  /** Its policy: one that draws takes the seed, unless the study gives it one. */
  policy(seed: number): Policy
}

export const DESIGNS = ['grid', 'one-at-a-time'] as const
export type Design = (typeof DESIGNS)[number]

export interface SettingsAsked {
  makers: readonly PolicyMaker[]
  base: Readonly<Record<string, unknown>>
  over: Readonly<Record<string, readonly Level[]>>
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
  const named = makers.map((make) => ({ make, name: made(make, { ...base, ...firsts(over) }).name }))
  const names = named.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw invalid('policy', 'policies of different names', twice, 'vary options with over')
  const dimensions = { ...(makers.length > 1 && { [POLICY]: names }), ...over }
  const combinations = design === 'grid' ? grid(dimensions) : oneAtATime(dimensions)
  return combinations.map((levels) => {
    const { [POLICY]: name, ...options } = levels
    const { make } = named.find((one) => one.name === name) ?? named[0]
    const given = { ...base, ...(makers.length > 1 ? options : levels) }
    const first = made(make, given)
    const draws = 'seed' in first.options && !('seed' in given)
    return { levels, policy: (seed) => (draws ? made(make, { ...given, seed }) : first) }
  })
}

/** The first level of each. */
const firsts = (dimensions: Levels) =>
  Object.fromEntries(Object.entries(dimensions).map(([name, [level]]) => [name, level]))

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

type Levels = Readonly<Record<string, readonly Level[]>>

/** All combinations, the last dimension changing fastest. */
function grid(dimensions: Levels): Record<string, Level>[] {
  let rows: Record<string, Level>[] = [{}]
  for (const [name, levels] of Object.entries(dimensions))
    rows = rows.flatMap((row) => levels.map((level) => ({ ...row, [name]: level })))
  return rows
}

/** The first level of every dimension, and each other level with the rest as there. */
function oneAtATime(dimensions: Levels): Record<string, Level>[] {
  const first = firsts(dimensions)
  return [
    first,
    ...Object.entries(dimensions).flatMap(([name, levels]) =>
      levels.slice(1).map((level) => ({ ...first, [name]: level })),
    ),
  ]
}
