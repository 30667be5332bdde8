/** A recipe as a list of calls in the order in which they are done, each result with a name: plain data, as cards have it. */
import { relative, sep } from 'node:path'
import { kindOf } from './calls.js'
import { Place, Recipe, type Given, type GivenObject, type Step } from './recipe.js'

/** { $: name } is the result of that name, { $library: name } a function, { $file: path } a file or folder, relative to the card's own. */
export type Plain = string | number | boolean | null | Plain[] | { [name: string]: Plain }

export interface Statement {
  name: string
  /** The name of the result that it is a method of. */
  on?: string
  call: string
  given: Plain[]
  then?: { call: string; given: Plain[]; each?: number[] }[]
  sha256?: string
}

export interface Stated {
  statements: Statement[]
  /** What cannot be made again, in words. */
  missing: string[]
}

/** Paths are relative to `folder`. The last statement is `recipe` itself, unless it cannot be made again. */
export function statementsOf(recipe: Recipe, folder: string): Stated {
  const statements: Statement[] = []
  const missing = new Set<string>()
  const names = new Map<Recipe, string>()
  /** What once is enough of, whoever takes it. */
  const known = new Map<string, string>()

  const named = (of: Recipe): Plain => {
    if (of.missing !== undefined) {
      missing.add(of.missing)
      return { $missing: of.missing }
    }
    return of.itself ? { $library: of.call } : { $: nameOf(of) }
  }
  const plain = (given: Given): Plain => {
    if (typeof given !== 'object' || given === null) return given
    if (given instanceof Recipe) return named(given)
    if (given instanceof Place) return { $file: relative(folder, given.path).split(sep).join('/') || '.' }
    if (ArrayBuffer.isView(given)) return Array.from(given as ArrayLike<number>)
    if (Array.isArray(given)) return (given as readonly Given[]).map(plain)
    return Object.fromEntries(Object.entries(given as GivenObject).map(([name, one]) => [name, plain(one)]))
  }
  const step = ({ call, given, each }: Step) => ({ call, given: given.map(plain), ...(each && { each: [...each] }) })
  const nameOf = (of: Recipe): string => {
    const found = names.get(of)
    if (found !== undefined) return found
    const on = of.on && named(of.on)
    const statement = {
      ...(on && '$' in (on as object) && { on: (on as { $: string }).$ }),
      call: of.call,
      given: of.given.map(plain),
      ...(of.then.length && { then: of.then.map(step) }),
      ...(of.sha256 !== undefined && { sha256: of.sha256 }),
    }
    const { result, once } = kindOf(of.call) ?? { result: 'result', once: false }
    const key = once ? JSON.stringify(statement) : undefined
    const same = key === undefined ? undefined : known.get(key)
    const name = same ?? freeName(result, statements)
    if (same === undefined) statements.push({ name, ...statement })
    if (key !== undefined) known.set(key, name)
    names.set(of, name)
    return name
  }
  named(recipe)
  return { statements, missing: [...missing] }
}

function freeName(wanted: string, statements: readonly Statement[]): string {
  const taken = new Set(statements.map(({ name }) => name))
  for (let i = 1; ; i++) if (!taken.has(i === 1 ? wanted : wanted + i)) return i === 1 ? wanted : wanted + i
}
