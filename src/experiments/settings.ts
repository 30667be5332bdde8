/** What a study tries: settings of policies, by the dimensions that it varies. */
import { budgetsOf, type Budgets } from '../budgets.js'
import { invalid } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import { policyOf, type Policy } from '../policies/index.js'
import { plainOf, type Design, type Levels } from './designs.js'
import { asSaid, firstOf, POLICY, valueAt, type Varied } from './dimensions.js'
import { partOptions, withParts } from './ternary.js'
import { triedOf, type Tried } from './tried.js'

/** Makes a policy of options: zsmerge, or (options) => evictOnly({ of: zsmerge(options) }). */
export type PolicyMaker = (options: never) => Policy

export interface Setting {
  /** By dimension. */
  levels: Levels
  /** Its policy: one that draws takes the seed, unless the study gives it one. */
  policy(seed: number): Policy
  /** Of each head, instead of the policy's budget. */
  budgets: Budgets | undefined
}

export interface SettingsAsked {
  model: Pick<LoadedModel, 'description'>
  makers: readonly PolicyMaker[]
  base: Readonly<Record<string, unknown>>
  over: Varied
  design: Design
}

type Options = Readonly<Record<string, unknown>>

/** What the design tries, and every setting of it. Errors: 'invalid' naming the setting that a policy refuses. */
export function settingsOf({ model, makers, base, over, design }: SettingsAsked): {
  tried: Tried
  settings: Setting[]
} {
  const several = makers.length > 1
  const plain = plainOf(design)
  const ternary = typeof plain === 'object' && 'ternary' in plain ? plain.ternary : undefined
  const varied = ternary ? withParts(over, base, ternary) : over
  const optionsAt = (levels: Levels): Options => {
    const own = Object.entries(levels).filter(([name]) => name !== POLICY)
    const options = Object.fromEntries(own.map(([name, level]) => [name, valueAt(varied[name], level)]))
    return { ...base, ...options, ...(ternary && partOptions(levels, ternary)) }
  }
  const first = optionsAt(Object.fromEntries(Object.entries(varied).map(([name, one]) => [name, firstOf(one)])))
  const named = makers.map((make) => ({ make, name: made(make, withBudgets(first, model).options, several).name }))
  const names = named.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw invalid('policy', 'policies of different names', twice, 'vary options with over')
  const tried = triedOf({ ...(several && { [POLICY]: { levels: names } }), ...varied }, design)
  const settings = tried.settings.map((levels): Setting => {
    const { make } = named.find((one) => one.name === levels[POLICY]) ?? named[0]
    const { options, budgets } = withBudgets(optionsAt(levels), model)
    const policy = made(make, options, several)
    const draws = 'seed' in policy.options && !('seed' in options)
    return { levels, policy: (seed) => (draws ? made(make, { ...options, seed }, several) : policy), budgets }
  })
  return { tried, settings }
}

/** `budgets` are no option of policies, but beside one: an array is each head's, a number the policy's budget. */
function withBudgets({ budgets, ...options }: Options, { description }: SettingsAsked['model']) {
  if (budgets === undefined) return { options, budgets: undefined }
  if (options.budget !== undefined)
    throw invalid('budget', 'nothing beside budgets, which say it for all heads', options.budget, 'leave one out')
  if (typeof budgets === 'number') return { options: { ...options, budget: budgets }, budgets: undefined }
  const { layers, kvHeads } = description
  return { options, budgets: budgetsOf(budgets, layers, kvHeads) }
}

function made(make: PolicyMaker, options: Options, several: boolean): Policy {
  try {
    return policyOf((make as (options: object) => Policy)(options), 'what policy gives')
  } catch (error) {
    if (!(error instanceof ZslabError)) throw error
    const given = Object.entries(options).map(([name, value]) => `${name}: ${shown(asSaid(value))}`)
    const setting = given.length ? `the setting { ${given.join(', ')} } cannot be: ` : ''
    const own = several
      ? '; what one of several policies alone has is bound to it, as in (options) => zsmerge({ alpha: 0.5, ...options })'
      : ''
    throw new ZslabError(error.code, setting + error.message + own, { cause: error })
  }
}
