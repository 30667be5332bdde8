/** What a policy is: its name, every option resolved, and what the engine is told. Policies are made by functions like zsmerge(). */
import { invalid, oneOf, options as checked } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { showsItself } from '../show/show.js'
import { callText, policyText } from '../show/texts.js'
import { native, type NativePolicy, type Resolved } from '../native/binding.js'
import { checkParameters, type FieldType } from '../native/contract.js'
import { madeBy, Recipe } from '../recipe/recipe.js'
import type { OptionSpec, ParameterSpec } from './options.js'

/**
 * When tokens may leave, or slots lose some of what they held: never; once the prompt has been read and never again; later, too. 'reading':
 * never, but tokens after the prompt read only some of the slots.
 */
export type Acts = 'never' | 'prompt' | 'always' | 'reading'
const ACTS: readonly Acts[] = ['never', 'prompt', 'always', 'reading']

export interface Policy {
  readonly name: string
  /** The preset that the options started from; undefined for a policy without modes. */
  readonly mode: string | undefined
  /** The options that this policy has, defaults included. */
  readonly options: Readonly<Record<string, unknown>>
  /** The policy that a wrapper works on. */
  readonly of: Policy | undefined
  readonly acts: Acts
  /** Keys are kept before rotation and turned as they are read: createCache() then needs `rotation`, and q and k before it. */
  readonly rotates: boolean
  /** Positions are counted within the cache, so a text may be longer than the model's context. */
  readonly endless: boolean
  /** It works on the model's key and value projections: createCache() then needs `projections`. */
  readonly projects: boolean
  /** Slots that stay lose some of what came, so that they hold no token's own key and value, nor a mean of them. */
  readonly alters: boolean
  /** BibTeX. */
  readonly citation: string
  /** The call that makes it, every option named. */
  toString(): string
  /** @internal */
  readonly native: Readonly<NativePolicy>
}

export interface PolicyDefinition {
  name: string
  /** What the engine calls it; default its name. */
  native?: string
  about: string
  /** The options that users may set, in order. */
  options: Readonly<Record<string, OptionSpec>>
  /** What the choice of a preset is called; default 'mode'. */
  preset?: string
  /** Defaults by mode; the first is the default. A policy without modes has one entry, ''. */
  presets: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** The native parameters, by field, in order. */
  parameters: Readonly<Record<string, ParameterSpec<never>>>
  /** Other names for options, accepted from users and nowhere else. */
  aliases?: Readonly<Record<string, string>>
  /** Refuses options that contradict each other; `given` is what the user named. */
  refuse?(values: never, given: Readonly<Record<string, unknown>>): void
  /** Of a user's own policy: what the engine calls, from the checked options. */
  choose?(values: never): NativePolicy['choose']
  /** Works on another policy, given as `of`; a function: on this one where none is given. */
  wraps?: boolean | (() => Policy)
  citation: string
}

export type PolicyOptions = Record<string, unknown> & { mode?: string; of?: Policy }

/** Ties a definition's parts to one type of options. */
export function define<V extends object>(definition: {
  [K in keyof PolicyDefinition]: K extends 'options'
    ? { readonly [O in keyof V]: OptionSpec }
    : K extends 'presets'
      ? Readonly<Record<string, V>>
      : K extends 'parameters'
        ? Readonly<Record<string, ParameterSpec<V>>>
        : K extends 'choose'
          ? (values: V) => NativePolicy['choose']
          : K extends 'refuse'
            ? (values: V, given: Readonly<Record<string, unknown>>) => void
            : PolicyDefinition[K]
}): PolicyDefinition {
  return definition as unknown as PolicyDefinition
}

/** Functions that are not called as their policy is. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  full: 'fullCache',
  'evict-only': 'evictOnly',
}

/** The function that makes the policy called `name`. */
export const functionOf = (name: string): string => FUNCTIONS[name] ?? name

const definitions = new WeakMap<object, PolicyDefinition>()

/** What a wrapper works on where nothing is said; undefined: it has to be. */
export const wrappedBy = ({ wraps }: PolicyDefinition) => (typeof wraps === 'function' ? wraps() : undefined)

/** A policy of `definition` with `given` over the preset. Errors: 'invalid'. */
export function makePolicy(definition: PolicyDefinition, given: object = {}): Policy {
  const { name, options, presets, preset = 'mode', aliases = {} } = definition
  const modes = Object.keys(presets).filter((mode) => mode !== '')
  const names = [...Object.keys(options), ...(modes.length ? [preset] : []), ...(definition.wraps ? ['of'] : [])]
  for (const key of Object.keys(given)) if (!(key in aliases)) checked(name, { [key]: 0 }, names)
  const known: Record<string, unknown> = checked(name, given, [...names, ...Object.keys(aliases)])
  const mode = known[preset] === undefined ? modes[0] : oneOf(preset, known[preset], modes)
  const of = definition.wraps ? policyOf(known.of ?? wrappedBy(definition), 'of') : undefined
  const values: Record<string, unknown> = { ...presets[mode ?? ''] }
  for (const [key, value] of Object.entries(known)) {
    if (key === preset || key === 'of' || value === undefined) continue
    const own = aliases[key] ?? key
    if (own !== key && known[own] !== undefined)
      throw new ZslabError('invalid', `${name} was given both ${key} and ${own}, which are the same: leave one out`)
    values[own] = options[own].check(value)
  }
  definition.refuse?.(values as never, known)
  const parameters = Object.fromEntries(
    Object.entries(definition.parameters).map(([field, [, read]]) => [field, read(values as never, mode ?? '')]),
  )
  const encoded: NativePolicy = Object.freeze({
    name: definition.native ?? name,
    budget: of?.native.budget ?? (values.budget as number | undefined) ?? 0,
    chunk: of?.native.chunk ?? (values.chunk as number),
    parameters: Object.freeze(parameters),
    of: of?.native,
    choose: definition.choose?.(values as never),
  })
  const traits = () => native().policyTraits(nativeOf(policy))
  const policy: Policy = {
    name,
    mode,
    options: Object.freeze(values),
    of,
    get acts() {
      return ACTS[traits().acts]
    },
    get rotates() {
      return traits().rotates === 1
    },
    get endless() {
      return traits().endless === 1
    },
    get projects() {
      return traits().projects === 1
    },
    get alters() {
      return traits().alters === 1
    },
    citation: definition.citation,
    native: encoded,
  }
  const call = callText(functionOf(name), { of, [preset]: mode, ...values })
  Object.defineProperty(policy, 'toString', { value: () => call })
  Object.freeze(showsItself(policy, policyText))
  definitions.set(policy, definition)
  const own = () =>
    Object.fromEntries(Object.entries(values).filter(([key]) => mayName(definition, values, known, key)))
  madeBy(policy, () =>
    definition.choose
      ? Recipe.missing(`the policy ${name}, whose functions are your own`)
      : Recipe.of(functionOf(name), [{ of, [preset]: mode, ...own() }]),
  )
  if (of) traits() // the engine knows what works together, and says why not
  return policy
}

/** Whether the option may be named as it is: some may not beside others, even where they have their default. */
function mayName(
  { refuse }: PolicyDefinition,
  values: Readonly<Record<string, unknown>>,
  given: Readonly<Record<string, unknown>>,
  key: string,
) {
  try {
    refuse?.(values as never, { ...given, [key]: values[key] })
    return true
  } catch {
    return false
  }
}

/** What `policy` was made from. */
export const definitionOf = (policy: Policy): PolicyDefinition => definitions.get(policy)!

const fits = new WeakSet<PolicyDefinition>()

/** What the engine is told of a policy, once its parameters are known to be those that the engine has. Errors: 'native'. */
export function nativeOf(policy: Policy): NativePolicy {
  for (let at: Policy | undefined = policy; at; at = at.of) {
    const definition = definitions.get(at)!
    if (fits.has(definition)) continue
    const fields = Object.entries(definition.parameters).map(([field, [type]]): [string, FieldType] => [field, type])
    checkParameters(native().describe(), definition.native ?? definition.name, fields)
    fits.add(definition)
  }
  return policy.native
}

/** Refuses what was not made by a policy function, with advice for the usual mistakes. */
export function policyOf(value: unknown, name = 'policy'): Policy {
  if (typeof value === 'object' && value !== null && definitions.has(value)) return value as Policy
  if (typeof value === 'function' || typeof value === 'string') {
    const called = typeof value === 'string' ? value : value.name
    throw new ZslabError(
      'invalid',
      `expected a policy for ${name} but received ${shown(value)}: call it, as in ${name}: ${called}()`,
    )
  }
  throw invalid(name, 'a policy such as zsmerge({ budget: 0.1 }) or fullCache()', value)
}

/** The same for a list of at least one. */
export function policiesOf(value: unknown): Policy[] {
  if (Array.isArray(value) && value.length) return value.map((one, i) => policyOf(one, `policies[${i}]`))
  throw invalid('policies', 'an array of policies, such as [zsmerge({ budget: 0.1 }), snapkv({ budget: 0.1 })]', value)
}

/** Slots by region for a first prompt of `tokens`, under its own budget or another. Errors: 'invalid' naming the numbers and what to change. */
export function resolve(policy: Policy, tokens: number, budget = policy.native.budget): Resolved {
  return native().policyResolve({ ...nativeOf(policy), budget }, tokens)
}
