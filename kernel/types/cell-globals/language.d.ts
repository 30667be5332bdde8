/** What Node 20 has of the language and TypeScript 5.0 has no types for yet. */

interface Array<T> {
  /** A copy, last element first. */
  toReversed(): T[]
  /** A sorted copy; without `compareFn` by the elements' texts. */
  toSorted(compareFn?: (a: T, b: T) => number): T[]
  /** A copy where `items` stand instead of the `deleteCount` elements from `start` on. */
  toSpliced(start: number, deleteCount?: number, ...items: T[]): T[]
  /** A copy with another element at `index`, which counts from the end where it is negative. */
  with(index: number, value: T): T[]
}

interface ReadonlyArray<T> {
  /** A copy, last element first. */
  toReversed(): T[]
  /** A sorted copy; without `compareFn` by the elements' texts. */
  toSorted(compareFn?: (a: T, b: T) => number): T[]
  /** A copy where `items` stand instead of the `deleteCount` elements from `start` on. */
  toSpliced(start: number, deleteCount?: number, ...items: T[]): T[]
  /** A copy with another element at `index`, which counts from the end where it is negative. */
  with(index: number, value: T): T[]
}

interface Int8Array {
  toReversed(): Int8Array
  toSorted(compareFn?: (a: number, b: number) => number): Int8Array
  with(index: number, value: number): Int8Array
}

interface Uint8Array {
  toReversed(): Uint8Array
  toSorted(compareFn?: (a: number, b: number) => number): Uint8Array
  with(index: number, value: number): Uint8Array
}

interface Uint8ClampedArray {
  toReversed(): Uint8ClampedArray
  toSorted(compareFn?: (a: number, b: number) => number): Uint8ClampedArray
  with(index: number, value: number): Uint8ClampedArray
}

interface Int16Array {
  toReversed(): Int16Array
  toSorted(compareFn?: (a: number, b: number) => number): Int16Array
  with(index: number, value: number): Int16Array
}

interface Uint16Array {
  toReversed(): Uint16Array
  toSorted(compareFn?: (a: number, b: number) => number): Uint16Array
  with(index: number, value: number): Uint16Array
}

interface Int32Array {
  toReversed(): Int32Array
  toSorted(compareFn?: (a: number, b: number) => number): Int32Array
  with(index: number, value: number): Int32Array
}

interface Uint32Array {
  toReversed(): Uint32Array
  toSorted(compareFn?: (a: number, b: number) => number): Uint32Array
  with(index: number, value: number): Uint32Array
}

interface Float32Array {
  toReversed(): Float32Array
  toSorted(compareFn?: (a: number, b: number) => number): Float32Array
  with(index: number, value: number): Float32Array
}

interface Float64Array {
  toReversed(): Float64Array
  toSorted(compareFn?: (a: number, b: number) => number): Float64Array
  with(index: number, value: number): Float64Array
}

interface BigInt64Array {
  toReversed(): BigInt64Array
  toSorted(compareFn?: (a: bigint, b: bigint) => number | bigint): BigInt64Array
  with(index: number, value: bigint): BigInt64Array
}

interface BigUint64Array {
  toReversed(): BigUint64Array
  toSorted(compareFn?: (a: bigint, b: bigint) => number | bigint): BigUint64Array
  with(index: number, value: bigint): BigUint64Array
}

interface String {
  /** Whether no half of a surrogate pair stands alone. */
  isWellFormed(): boolean
  /** A copy with U+FFFD in place of each half of a surrogate pair that stands alone. */
  toWellFormed(): string
}

interface ArrayBuffer {
  readonly resizable: boolean
  readonly maxByteLength: number
  /** In place, up to `maxByteLength`. */
  resize(byteLength: number): void
}

interface ArrayBufferConstructor {
  new (byteLength: number, options?: { maxByteLength?: number }): ArrayBuffer
}
