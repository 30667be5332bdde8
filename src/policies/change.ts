/** A policy as it goes on under other options while a session lives: which may change, and why the others may not. */
import { shown, ZslabError } from '../errors.js'
import { definitionOf, makePolicy, type Policy, type PolicyDefinition } from './policy.js'

/** What an option was and is from then on, by its name. */
export type Changes = Readonly<Record<string, { from: unknown; to: unknown }>>

const SIZES = 'sizes are resolved once, when the first prompt is read, and slots lie by them'
const PROMPT = 'it says what is made of the prompt, and that has been read'
const WHY: Readonly<Record<string, string>> = {
  budget: SIZES,
  recent: SIZES,
  residual: SIZES,
  sink: SIZES,
  init: PROMPT,
  window: PROMPT,
  stride: PROMPT,
  granularity: 'heads that chose together hold the same positions, heads that chose alone do not',
  history: 'scores that were not kept from the start cannot be made up for',
  mode: 'it is a preset of all options',
}

const namesOf = (policy: Policy): string[] =>
  changeableOf(definitionOf(policy)).concat(policy.of ? namesOf(policy.of) : [])

const changeableOf = ({ options }: PolicyDefinition) => Object.keys(options).filter((name) => options[name].later)

/**
 * `policy` with `given` over its options, and what differs; wrappers hand on what they do not have. Errors: 'invalid' for an option that
 * there is none of, and with the reason for one that may not change while a session lives.
 */
export function changedPolicy(policy: Policy, given: object): { policy: Policy; changes: Changes } {
  if (Object.keys(given).length === 0) return { policy, changes: {} }
  const left: Record<string, unknown> = { ...given }
  const changes: Record<string, { from: unknown; to: unknown }> = {}
  const made = rebuilt(policy, left, changes)
  const [unknown] = Object.keys(left)
  if (unknown !== undefined)
    throw new ZslabError('invalid', `${policy.name} has no option ${shown(unknown)}; ${mayChange(policy)}`)
  return { policy: Object.keys(changes).length ? made : policy, changes }
}

function rebuilt(
  policy: Policy,
  left: Record<string, unknown>,
  changes: Record<string, { from: unknown; to: unknown }>,
): Policy {
  const definition = definitionOf(policy)
  const { options, presets, preset = 'mode', aliases = {} } = definition
  const own: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(left)) {
    const option = aliases[name] ?? name
    if (!(option in options) && option !== preset && option !== 'of') continue
    if (!options[option]?.later)
      throw new ZslabError(
        'invalid',
        `${option} of ${policy.name} cannot change while a session lives: ${WHY[option] ?? 'the cache was built by it'}; ${mayChange(policy)}; for another ${option} make another session`,
      )
    own[option] = value
    delete left[name]
  }
  const of = policy.of && rebuilt(policy.of, left, changes)
  const before = policy.options
  // Only what was set beside the preset: an option may contradict another that nobody set.
  const set = Object.entries(before).filter(([name, value]) => presets[policy.mode ?? ''][name] !== value)
  const made = makePolicy(definition, {
    ...(policy.mode !== undefined && { [preset]: policy.mode }),
    ...Object.fromEntries(set),
    ...own,
    ...(of && { of }),
  })
  for (const name of Object.keys(own))
    if (made.options[name] !== before[name]) changes[name] = { from: before[name], to: made.options[name] }
  return made
}

const mayChange = (policy: Policy) => {
  const names = namesOf(policy)
  return names.length
    ? `from the next step on ${names.join(', ')} may`
    : `nothing of ${policy.name} may change from the next step on`
}
