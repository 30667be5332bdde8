/** The list of policies. A new one is a file beside this one, a line here and one in src/index.ts. */
import { shown, ZslabError } from '../errors.js'
import { definitionsText, definitionText } from '../show/file-texts.js'
import { madeBy, Recipe } from '../recipe/recipe.js'
import { showsItself } from '../show/show.js'
import * as adakv from './adakv.js'
import * as evictOnly from './evict-only.js'
import * as fullCache from './full-cache.js'
import * as lorc from './lorc.js'
import * as minicache from './minicache.js'
import { functionOf, makePolicy, type Policy, type PolicyDefinition, type PolicyOptions } from './policy.js'
import * as quest from './quest.js'
import * as random from './random.js'
import * as snapkv from './snapkv.js'
import * as streaming from './streaming.js'
import * as think from './think.js'
import * as tova from './tova.js'
import * as zsmerge from './zsmerge.js'

export { fullCache } from './full-cache.js'
export { changedPolicy, type Changes } from './change.js'
export {
  nativeOf,
  policiesOf,
  policyOf,
  resolve,
  wrappedBy,
  type Acts,
  type Policy,
  type PolicyDefinition,
  type PolicyOptions,
} from './policy.js'

const MODULES = [
  fullCache,
  zsmerge,
  streaming,
  evictOnly,
  snapkv,
  tova,
  random,
  quest,
  lorc,
  minicache,
  adakv,
  think,
] as const

export const POLICIES: readonly PolicyDefinition[] = showsItself(
  MODULES.map(({ definition }) => showsItself(definition, definitionText)),
  definitionsText,
)

for (const module of MODULES) {
  const name = functionOf(module.definition.name)
  madeBy((module as unknown as Record<string, () => Policy>)[name], Recipe.named(name))
}

/** BibTeX of every method: docs/methods.bib is made of it. */
export const bibliography = () => POLICIES.map(({ citation }) => citation).join('\n\n')

/** The policy called `name` with `options`. Errors: 'invalid' naming what there is. */
export function policyNamed(name: string, options: PolicyOptions = {}): Policy {
  const found = POLICIES.find((policy) => policy.name === name)
  if (!found)
    throw new ZslabError(
      'invalid',
      `no policy is called ${shown(name)}; there are: ${POLICIES.map((policy) => policy.name).join(', ')}`,
    )
  return makePolicy(found, options)
}
