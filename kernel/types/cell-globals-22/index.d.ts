/** What Node 22 has of the language beyond Node 20. */

interface ObjectConstructor {
  /** The items by the key that `key` gives each. */
  groupBy<K extends PropertyKey, T>(items: Iterable<T>, key: (item: T, index: number) => K): Partial<Record<K, T[]>>
}

interface MapConstructor {
  /** The items by the key that `key` gives each. */
  groupBy<K, T>(items: Iterable<T>, key: (item: T, index: number) => K): Map<K, T[]>
}

interface PromiseConstructor {
  /** A promise, and what settles it. */
  withResolvers<T>(): {
    promise: Promise<T>
    resolve: (value: T | PromiseLike<T>) => void
    reject: (reason?: unknown) => void
  }
}

interface ArrayConstructor {
  fromAsync<T>(items: AsyncIterable<T> | Iterable<T | PromiseLike<T>> | ArrayLike<T | PromiseLike<T>>): Promise<T[]>
  fromAsync<T, U>(
    items: AsyncIterable<T> | Iterable<T | PromiseLike<T>> | ArrayLike<T | PromiseLike<T>>,
    map: (item: T, index: number) => U | PromiseLike<U>,
  ): Promise<U[]>
}

interface Set<T> {
  union<U>(other: ReadonlySet<U>): Set<T | U>
  intersection<U>(other: ReadonlySet<U>): Set<T & U>
  difference(other: ReadonlySet<unknown>): Set<T>
  symmetricDifference<U>(other: ReadonlySet<U>): Set<T | U>
  isSubsetOf(other: ReadonlySet<unknown>): boolean
  isSupersetOf(other: ReadonlySet<unknown>): boolean
  isDisjointFrom(other: ReadonlySet<unknown>): boolean
}

interface ArrayBuffer {
  readonly detached: boolean
  /** The bytes in a new buffer; this one is empty then. */
  transfer(byteLength?: number): ArrayBuffer
}
