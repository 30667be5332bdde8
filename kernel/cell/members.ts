/** What a value has under which names, found without running anything of it: neither getters nor proxies are asked. */
import { types } from 'node:util'

export interface Member {
  text: string
  type: 'function' | 'property'
}

const MOST = 1000
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** The members of what `path` leads to, from a cell's variable or a name that is known everywhere. */
export function membersOf(variables: object, [root, ...path]: readonly string[]): Member[] {
  const variable = Object.getOwnPropertyDescriptor(variables, root)
  // Variables that can be assigned are read by a getter of the kernel's own.
  const start: unknown = variable
    ? variable.get
      ? variable.get.call(variables)
      : variable.value
    : at(globalThis, root)
  return namesIn(path.reduce(at, start))
}

/** undefined too where it would have to be computed. */
function at(value: unknown, name: string): unknown {
  for (const one of chain(value)) {
    const found = Object.getOwnPropertyDescriptor(one, name)
    if (found) return found.value
  }
  return undefined
}

function namesIn(value: unknown): Member[] {
  const found = new Map<string, Member>()
  for (const one of chain(value))
    for (const text of Object.getOwnPropertyNames(one)) {
      if (found.size >= MOST) break
      if (found.has(text) || text === 'constructor' || !IDENTIFIER.test(text)) continue
      const { value } = Object.getOwnPropertyDescriptor(one, text)!
      found.set(text, { text, type: typeof value === 'function' ? 'function' : 'property' })
    }
  return [...found.values()]
}

/** `value` and its prototypes, without what every object has. */
function* chain(value: unknown): Iterable<object> {
  if (value === undefined || value === null) return
  for (
    let one: object | null = Object(value) as object;
    one && one !== Object.prototype;
    one = Object.getPrototypeOf(one) as object | null
  ) {
    if (types.isProxy(one)) return
    yield one
  }
}
