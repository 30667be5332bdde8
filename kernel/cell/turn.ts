/** Which request the code that runs right now belongs to, also in timers and callbacks after its cell has ended. */
import { AsyncLocalStorage } from 'node:async_hooks'

export interface Turn {
  /** The request's id. */
  id: number
  allowStdin: boolean
  /** Aborted by an interrupt while the cell runs; undefined before and after. */
  controller?: AbortController
}

const storage = new AsyncLocalStorage<Turn>()
const hooks = tolerantHooks()

export function inTurn<T>(turn: Turn, work: () => T): T {
  return storage.run(turn, work)
}

export function currentTurn(): Turn | undefined {
  return storage.getStore()
}

const thrown = new WeakMap<object, Turn>()

/** The turn of a task whose exception nobody caught, where node has forgotten it: of microtasks. Call `followMicrotasks` before. */
export function turnOf(error: unknown): Turn | undefined {
  return typeof error === 'object' && error !== null ? thrown.get(error) : undefined
}

export function followMicrotasks(): void {
  const enqueue = globalThis.queueMicrotask
  globalThis.queueMicrotask = (task: () => void) => {
    if (typeof task !== 'function') return enqueue(task)
    const turn = currentTurn()
    enqueue(() => {
      try {
        task()
      } catch (error) {
        if (turn && typeof error === 'object' && error !== null) thrown.set(error, turn)
        throw error
      }
    })
  }
}

/** After code was cut off: what ran then is no longer running. */
export function forgetCutOff(): void {
  hooks?.clearAsyncIdStack()
}

interface AsyncWrap {
  async_hook_fields: Uint32Array
  constants: { kTotals: number; kCheck: number }
  clearAsyncIdStack(): void
}

/**
 * Where AsyncLocalStorage stands on async hooks (node < 24), node aborts when code that is cut off leaves its hooks unbalanced, as
 * interrupts do. Their counters, which only these checks read, are set back; `forgetCutOff` then mends the balance.
 */
function tolerantHooks(): AsyncWrap | undefined {
  storage.run({ id: 0, allowStdin: false }, () => undefined) // enables the hooks
  const { binding, noDeprecation } = process as unknown as {
    binding?: (name: string) => AsyncWrap
    noDeprecation?: boolean
  }
  try {
    process.noDeprecation = true
    const wrap = binding?.call(process, 'async_wrap')
    const { async_hook_fields: fields, constants } = wrap ?? {}
    if (!fields || !constants || fields[constants.kTotals] === 0) return undefined
    fields[constants.kTotals] = 0
    fields[constants.kCheck] -= 1
    return wrap
  } catch {
    return undefined // a node without this binding has no such checks either
  } finally {
    process.noDeprecation = noDeprecation
  }
}
