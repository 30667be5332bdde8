/** What a policy is: its name, every option resolved, and what the engine is told. Policies are made by functions like zsmerge(). */
import { oneOf, options as checked } from '../expect.js'
import { invalid } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { native, type NativePolicy, type Resolved } from '../native/binding.js'
import { ALIASES, OPTIONS, nativePolicy, type Least, type OptionName, type OptionValues } from './schema.js'

export interface Policy {
  readonly name: string
  /** The preset that the options started from; undefined for a policy without modes. */
  readonly mode: string | undefined
  /** The options that this policy has, defaults included. */
  readonly options: Readonly<Partial<OptionValues>>
  readonly native: Readonly<NativePolicy>
  /** BibTeX. */
  readonly citation: string
}

export interface Preset {
  values: OptionValues
  least: Least
}

export interface PolicyDefinition {
  name: string
  about: string
  kind: 'full' | 'zsmerge'
  /** The options that users may set. */
  options: readonly OptionName[]
  /** By mode; the first is the default. A policy without modes has one entry, ''. */
  presets: Readonly<Record<string, Preset>>
  citation: string
}

export type PolicyOptions = Partial<OptionValues> & { mode?: string }

const made = new WeakSet<object>()

/** A policy of `definition` with `given` over the preset. Errors: 'invalid', 'unsupported'. */
export function makePolicy(definition: PolicyDefinition, given: object = {}): Policy {
  const modes = Object.keys(definition.presets).filter((mode) => mode !== '')
  const aliases = Object.keys(ALIASES).filter((alias) => definition.options.includes(ALIASES[alias]))
  const names = [...definition.options, ...(modes.length ? ['mode'] : [])]
  for (const key of Object.keys(given)) if (!aliases.includes(key)) checked(definition.name, { [key]: 0 }, names)
  const known = checked(definition.name, given, [...names, ...aliases])
  const mode = known.mode === undefined ? modes[0] : oneOf('mode', known.mode, modes)
  const preset = definition.presets[mode ?? '']
  const values = { ...preset.values } as Record<OptionName, unknown>
  for (const [key, value] of Object.entries(known)) {
    if (key === 'mode' || value === undefined) continue
    const name = ALIASES[key] ?? (key as OptionName)
    if (name !== key && known[name] !== undefined)
      throw new ZslabError(
        'invalid',
        `${definition.name} was given both ${key} and ${name}, which are the same: leave one out`,
      )
    values[name] = OPTIONS[name].check(value)
  }
  const full = values as unknown as OptionValues
  // A user who names a residual of 0 or history off gets what they say, and is told where options contradict each other.
  if (full.history === 'off' && known.decay !== undefined)
    throw invalid('decay', "no value beside history 'off'", known.decay, 'without history there are no scores to decay')
  const policy: Policy = Object.freeze({
    name: definition.name,
    mode,
    options: Object.freeze(Object.fromEntries(definition.options.map((name) => [name, full[name]]))),
    native: Object.freeze(nativePolicy(definition.kind, full, preset.least)),
    citation: definition.citation,
  })
  made.add(policy)
  return policy
}

/** Refuses what was not made by a policy function, with advice for the usual mistakes. */
export function policyOf(value: unknown): Policy {
  if (typeof value === 'object' && value !== null && made.has(value)) return value as Policy
  if (typeof value === 'function' || typeof value === 'string') {
    const name = typeof value === 'string' ? value : value.name
    throw new ZslabError(
      'invalid',
      `expected a policy for policy but received ${shown(value)}: call it, as in policy: ${name}()`,
    )
  }
  throw invalid('policy', 'a policy such as zsmerge({ budget: 0.1 }) or fullCache()', value)
}

/** Slots by region for a first prompt of `tokens`. Errors: 'invalid' naming the numbers and what to change. */
export function resolve(policy: Policy, tokens: number): Resolved {
  return native().policyResolve(policy.native, tokens)
}
