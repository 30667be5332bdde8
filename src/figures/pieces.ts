/** One array for many: thousands of small ones cost more than what is counted in them. */

/** Hands out `whole` in pieces, one after another. */
export function pieces<T extends Int32Array | Uint32Array | Float64Array>(whole: T): (length: number) => T {
  let at = 0
  return (length) => whole.subarray(at, (at += length)) as T
}
