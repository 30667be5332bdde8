/** How results were made, so that they can be made again: a call of the library or of another result, and what it was given. */
import { resolve } from 'node:path'

/** Numbers, words, arrays and objects of them, and recipes of what else was given. */
export type Given =
  string | number | boolean | null | Place | Recipe | ArrayLike<number> | readonly Given[] | GivenObject
export interface GivenObject {
  readonly [name: string]: Given
}

/** A file or folder: where it is from a card's own depends on where that lies. */
export class Place {
  /** Absolute. */
  readonly path: string

  constructor(path: string) {
    this.path = resolve(path)
  }
}

/** Something that was asked of a result before another came of it. */
export interface Step {
  call: string
  given: readonly Given[]
  /** Instead of one value several, one after the other. */
  each?: readonly number[]
}

interface Parts {
  /** What the call is a method of; undefined: it is a function of the library. */
  on?: Recipe
  then?: readonly Step[]
  /** Of the file or folder that it reads. */
  sha256?: string
}

export class Recipe {
  readonly on: Recipe | undefined
  readonly then: readonly Step[]
  readonly sha256: string | undefined

  private constructor(
    /** A function, such as 'load' or 'Trace.open', a method or a property. */
    readonly call: string,
    readonly given: readonly Given[],
    parts: Parts = {},
    /** Why it cannot be made again. */
    readonly missing?: string,
    /** It is the function, and nothing is called. */
    readonly itself = false,
  ) {
    this.on = parts.on
    this.then = parts.then ?? []
    this.sha256 = parts.sha256
  }

  /** Of `given` what has a recipe is its recipe from then on: nothing here keeps a result alive. */
  static of(call: string, given: readonly unknown[], parts: Parts = {}): Recipe {
    return new Recipe(
      call,
      given.map((one) => asGiven(one)),
      parts,
    )
  }

  /** A function of the library itself, such as zsmerge, given to what calls it. */
  static named(name: string): Recipe {
    return new Recipe(name, [], {}, undefined, true)
  }

  /** Of what cannot be made again. */
  static missing(why: string): Recipe {
    return new Recipe('', [], {}, why)
  }
}

const recipes = new WeakMap<object, Recipe | (() => Recipe)>()

/** Remembers how `result` was made; a function is asked again each time. */
export function madeBy<T extends object>(result: T, recipe: Recipe | (() => Recipe)): T {
  recipes.set(result, recipe)
  return result
}

/** Remembers that `result` came of `call` of `of`, as much as is known of that. */
export const cameOf = <T extends object>(result: T, of: object, call: string, given: readonly unknown[] = []): T =>
  madeBy(result, Recipe.of(call, given, { on: recipeOf(of) }))

export function recipeOf(result: object): Recipe {
  const found = recipes.get(result)
  if (found) return typeof found === 'function' ? found() : found
  return Recipe.missing(`${nameOf(result)} does not say how it was made`)
}

/** Options but for how the call was watched and stopped, which changes nothing of its result. */
export function lasting(options: object): object {
  const given: Record<string, unknown> = { ...options }
  for (const name of ['signal', 'progress']) delete given[name]
  return given
}

const nameOf = (value: object) =>
  value.constructor === Object || !value.constructor ? 'plain data' : `a ${value.constructor.name}`

/** `name`: the option that it was given for, where it has one. */
function asGiven(value: unknown, name?: string): Given {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : Recipe.missing(`the number ${value}`)
  if (typeof value === 'function' && recipes.has(value)) return recipeOf(value)
  if (typeof value !== 'object')
    return Recipe.missing(`a ${typeof value} of your own${name === undefined ? '' : ` for ${name}`}`)
  if (value instanceof Recipe || value instanceof Place) return value
  if (recipes.has(value)) return recipeOf(value)
  if (ArrayBuffer.isView(value)) return value as unknown as ArrayLike<number>
  if (Array.isArray(value)) return value.map((one) => asGiven(one, name))
  const plain = value.constructor === Object || !value.constructor
  if (!plain) return recipeOf(value)
  const named = Object.entries(value).filter(([, one]) => one !== undefined)
  return Object.fromEntries(named.map(([name, one]) => [name, asGiven(one, name)]))
}
