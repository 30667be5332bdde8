/**
 * Walks a GGUF header before the parser library sees it, with every count and length bounded by the file and by what a real
 * model needs, so that a damaged or hostile file costs neither memory nor time. Decodes nothing: gguf.ts does that.
 */
import { fstatSync, readSync } from 'node:fs'
import { ZslabError } from '../errors.js'

/** The library keeps the header in one buffer of at most 50 MB; the largest headers in the wild (260k tokens) are about 15 MB. */
const MAX_HEADER_BYTES = 32 * 2 ** 20
/** Shorter than the library's read-ahead (2 MB), which would otherwise lose its place; a chat template is a few kB. */
const MAX_STRING_BYTES = 2 ** 20
const MAX_NAME_BYTES = 2 ** 12
const MAX_KEYS = 4096
const MAX_TENSORS = 65_536
const MAX_ARRAY = 1_000_000
/** Values of all arrays together: each becomes a JavaScript value of 8 to about 60 bytes. */
const MAX_VALUES = 4_000_000
const MAX_DIMS = 4
/** The library reads in steps of this many bytes and cuts a string that ends a value where a step ends. */
const LIBRARY_STEP = 2_000_000

const VALUE_BYTES: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }
const STRING = 8
const ARRAY = 9

/** A string that crosses a step of the library: `index` in the array `key`, -1 where `key` is the string itself. */
export interface CrossingString {
  key: string
  index: number
  text: string
}

export interface HeaderScan {
  version: number
  keys: string[]
  tensors: number
  /** First byte after the tensor list, before padding. */
  end: number
  crossing: CrossingString[]
}

export function damaged(path: string, found: string, expected: string, advice = DAMAGED): ZslabError {
  return new ZslabError('file', `${path}: found ${found}, expected ${expected}: ${advice}`)
}
const DAMAGED = 'the file is damaged or not a GGUF model; download or convert it again'

/** Reads forward through the first bytes of an open file, never past its end or MAX_HEADER_BYTES. */
class Header {
  private buffer = Buffer.alloc(0)
  at = 0
  constructor(
    readonly path: string,
    private readonly file: number,
    readonly size: number,
  ) {}

  /** The next `count` bytes, or an error that says what was being read. */
  take(count: number, what: string): Buffer {
    const end = this.at + count
    if (end > this.size)
      throw damaged(
        this.path,
        `the end of the file (${this.size} bytes) inside ${what}`,
        `${count} more bytes at byte ${this.at}`,
      )
    if (end > MAX_HEADER_BYTES)
      throw damaged(this.path, `a header of more than ${MAX_HEADER_BYTES} bytes (${what})`, 'a smaller one')
    if (end > this.buffer.length) this.fill(end)
    const bytes = this.buffer.subarray(this.at, end)
    this.at = end
    return bytes
  }

  private fill(end: number): void {
    const wanted = Math.min(this.size, Math.max(end, this.buffer.length * 2, 2 ** 16))
    const grown = Buffer.alloc(wanted)
    this.buffer.copy(grown)
    let filled = this.buffer.length
    while (filled < wanted) {
      const got = readSync(this.file, grown, filled, wanted - filled, filled)
      if (got === 0)
        throw damaged(this.path, `only ${filled} readable bytes`, `${this.size}`, 'was it changed while being read?')
      filled += got
    }
    this.buffer = grown
  }

  u32(what: string): number {
    return this.take(4, what).readUInt32LE(0)
  }

  /** An unsigned 64-bit count that must not exceed `most`. */
  count(what: string, most: number): number {
    const value = this.take(8, what).readBigUInt64LE(0)
    if (value > BigInt(most)) throw damaged(this.path, `${what} of ${value}`, `at most ${most}`)
    return Number(value)
  }

  text(what: string, most: number): string {
    const length = this.count(`a length of ${what}`, most)
    return this.take(length, what).toString('utf8')
  }
}

/** Scans the header of the open file `file`; throws a ZslabError of code 'file' or 'unsupported'. */
export function scanHeader(path: string, file: number): HeaderScan {
  const header = new Header(path, file, fstatSync(file).size)
  if (header.size < 24) throw damaged(path, `a file of ${header.size} bytes`, 'a GGUF file of at least 24')
  const magic = header.take(4, 'the magic number')
  if (magic.toString('latin1') !== 'GGUF')
    throw damaged(
      path,
      `the first bytes ${JSON.stringify(magic.toString('latin1'))}`,
      '"GGUF"',
      'this is not a GGUF file',
    )
  const version = header.u32('the version')
  if (version !== 2 && version !== 3) {
    const reason = version !== 0 && version % 65536 === 0 ? 'is big-endian' : `has version ${version}`
    throw new ZslabError(
      'unsupported',
      `${path} ${reason}; GGUF 2 and 3, little-endian, are read: convert the model again`,
    )
  }
  const tensors = header.count('a number of tensors', MAX_TENSORS)
  const count = header.count('a number of metadata keys', MAX_KEYS)
  const keys = new Set<string>()
  const crossing: CrossingString[] = []
  const values = { left: MAX_VALUES }
  for (let i = 0; i < count; i++) {
    const key = header.text(`metadata key ${i}`, MAX_NAME_BYTES)
    if (!/^[\x21-\x7e]+$/.test(key) || key === '__proto__')
      throw damaged(
        path,
        `the metadata key ${JSON.stringify(key.slice(0, 60))}`,
        'a name of printable ASCII characters',
      )
    if (keys.has(key)) throw damaged(path, `the metadata key ${key} twice`, 'every key once')
    keys.add(key)
    scanValue(header, key, values, crossing)
  }
  for (let i = 0; i < tensors; i++) {
    const name = header.text(`the name of tensor ${i}`, MAX_NAME_BYTES)
    const dims = header.u32(`the dimensions of tensor ${i}`)
    if (dims < 1 || dims > MAX_DIMS)
      throw damaged(path, `${dims} dimensions in tensor ${JSON.stringify(name.slice(0, 60))}`, `1 to ${MAX_DIMS}`)
    header.take(dims * 8 + 12, `the description of tensor ${i}`)
  }
  return { version, keys: [...keys], tensors, end: header.at, crossing }
}

function scanValue(header: Header, key: string, values: { left: number }, crossing: CrossingString[]): void {
  const type = header.u32(`the type of ${key}`)
  if (type === STRING) return scanString(header, key, -1, true, crossing)
  if (type !== ARRAY) {
    if (VALUE_BYTES[type] === undefined)
      throw damaged(header.path, `type ${type} of ${key}`, 'a GGUF value type (0 to 12)')
    header.take(VALUE_BYTES[type], key)
    return
  }
  const element = header.u32(`the element type of ${key}`)
  if (element === ARRAY)
    throw new ZslabError(
      'unsupported',
      `${header.path}: metadata ${key} is an array of arrays, which no supported model needs`,
    )
  if (element !== STRING && VALUE_BYTES[element] === undefined)
    throw damaged(header.path, `element type ${element} of ${key}`, 'a GGUF value type (0 to 12)')
  const length = header.count(`a number of elements in ${key}`, MAX_ARRAY)
  values.left -= length
  if (values.left < 0)
    throw damaged(header.path, `more than ${MAX_VALUES} values in metadata arrays (up to ${key})`, 'no more than that')
  if (element !== STRING) header.take(length * VALUE_BYTES[element], key)
  else for (let i = 0; i < length; i++) scanString(header, key, i, i === length - 1, crossing)
}

function scanString(header: Header, key: string, index: number, last: boolean, crossing: CrossingString[]): void {
  const name = index < 0 ? key : `${key}[${index}]`
  const length = header.count(`a length of ${name}`, MAX_STRING_BYTES)
  const start = header.at
  const bytes = header.take(length, name)
  if (last && Math.floor(start / LIBRARY_STEP) !== Math.floor(header.at / LIBRARY_STEP))
    crossing.push({ key, index, text: new TextDecoder().decode(bytes) })
}
