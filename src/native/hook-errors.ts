/** Errors of functions that the engine calls back: kept here while the engine unwinds, told to whoever made the call. */
const errors = new Map<number, unknown>()
let last = 0

/** `f` as the engine may call it: what it throws is kept, and its number is the answer. */
export function kept<A extends unknown[]>(f: (...args: A) => Int32Array): (...args: A) => Int32Array | number {
  return (...args) => {
    try {
      return f(...args)
    } catch (error) {
      errors.set(++last, error)
      return last
    }
  }
}

/** The error of that number, once. */
export function takeError(number: number): unknown {
  const error = errors.get(number)
  errors.delete(number)
  return error
}
