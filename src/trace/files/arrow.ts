/** Columns as an Arrow file (IPC, LZ4) and back. */
import {
  batchType,
  Column,
  CompressionType,
  dictionary,
  float32,
  float64,
  int16,
  int32,
  int8,
  list,
  setCompressionCodec,
  tableFromColumns,
  tableFromIPC,
  tableToIPC,
  uint16,
  uint8,
  utf8,
  type Batch,
  type DataType,
} from '@uwdata/flechette'
import lz4 from 'lz4-napi'
import { ARRAYS, isNone, type ColumnOf, type Laid, type Values } from '../columns.js'
import type { LaidLists } from './lists.js'
import { Pieces } from './pieces.js'
import { numberOf, Unreadable, type Lists, type ReadColumns } from './read.js'

/** Rows of one record batch: what readers take at once. */
const BATCH = 1 << 20

setCompressionCodec(CompressionType.LZ4_FRAME, {
  encode: (bytes) => lz4.compressFrameSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  decode: (bytes) => aligned(lz4.decompressFrameSync(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))),
})

/** A copy whose buffer it is alone in, so that any typed array may lie on it. */
const aligned = (bytes: Uint8Array) => new Uint8Array(bytes)

const NO_BYTES = new Uint8Array(0)
const TYPES = { int32, uint16, uint8, float32, float64 }

/** The file in pieces; values are asked for batch by batch. */
export function arrowOf(
  laid: readonly Laid[],
  metadata: ReadonlyMap<string, string>,
  lists: readonly LaidLists[] = [],
): Uint8Array[] {
  const table = tableFromColumns([
    ...laid.map((column): [string, Column<unknown>] => [column.name, columnOf(column)]),
    ...lists.map((column): [string, Column<unknown>] => [column.name, listColumn(column)]),
  ])
  table.schema.metadata = new Map(metadata)
  laid.forEach(({ none }, i) => (table.schema.fields[i].nullable = none !== undefined))
  const sink = new Pieces()
  tableToIPC(table, { format: 'file', codec: CompressionType.LZ4_FRAME, sink })
  return sink.all
}

function columnOf({ type, values, words, none }: Laid): Column<unknown> {
  const text = words && wordColumn(words)
  const index = words && (words.length < 1 << 7 ? int8() : words.length < 1 << 15 ? int16() : int32())
  const as: DataType = text ? dictionary(text.type, index as never) : TYPES[type as keyof typeof TYPES]()
  const indexed = index && (new index.values(0).constructor as typeof Int8Array)
  const batches: Batch<unknown>[] = []
  // An empty trace has one batch without rows: readers take the types from it.
  for (let from = 0; from === 0 || from < values.length; from += BATCH) {
    const to = Math.min(from + BATCH, values.length)
    const part = () => values.subarray(from, to)
    const batch = new (batchType(as))({ length: to - from, type: as, values: NO_BYTES, ...validityOf(part(), none) })
    // Made when it is written, for all batches lie in the table at once.
    Object.defineProperty(batch, 'values', { get: () => (indexed ? keysOf(part(), none, indexed) : part()) })
    if (text) (batch as unknown as { setDictionary(of: Column<unknown>): void }).setDictionary(text)
    batches.push(batch as Batch<unknown>)
  }
  return new Column(batches, as)
}

function listColumn({ starts, values }: Lists): Column<unknown> {
  const type = list({ name: 'item', type: float32(), nullable: false, metadata: new Map() })
  const batches: Batch<unknown>[] = []
  const rows = starts.length - 1
  for (let from = 0; from === 0 || from < rows; from += BATCH) {
    const to = Math.min(rows, from + BATCH)
    const own = values.subarray(starts[from], starts[to])
    const child = new (batchType(type.children[0].type))({
      length: own.length,
      nullCount: 0,
      type: type.children[0].type,
      validity: new Uint8Array(0),
      values: own,
    })
    const lengths = Int32Array.from({ length: to - from }, (_, i) => starts[from + i + 1] - starts[from + i])
    const offsets = starts.slice(from, to + 1).map((at) => at - starts[from])
    const made = { length: to - from, type, offsets, children: [child], ...validityOf(lengths, 0) }
    batches.push(new (batchType(type))(made) as Batch<unknown>)
  }
  return new Column(batches, type)
}

/** A missing word has the number of a word, too: polars refuses others, missing or not. */
function keysOf(values: Values, none: number | undefined, Keys: typeof Int8Array): Int8Array {
  const keys = new Keys(values.length)
  for (let row = 0; row < keys.length; row++) keys[row] = isNone(values[row], none) ? 0 : values[row]
  return keys
}

/** A bit for each row, 1 = there is a value; no bits where there are all. */
function validityOf(values: Values, none: number | undefined): { nullCount: number; validity: Uint8Array } {
  if (none === undefined) return { nullCount: 0, validity: NO_BYTES }
  let nullCount = 0
  const validity = new Uint8Array(((values.length + 63) >> 6) << 3)
  for (let row = 0; row < values.length; row++) {
    if (isNone(values[row], none)) nullCount++
    else validity[row >> 3] |= 1 << (row & 7)
  }
  return nullCount ? { nullCount, validity } : { nullCount, validity: NO_BYTES }
}

function wordColumn(words: readonly string[]): Column<unknown> {
  const type = utf8()
  const texts = words.map((word) => Buffer.from(word))
  const offsets = new Int32Array(words.length + 1)
  texts.forEach((text, i) => (offsets[i + 1] = offsets[i] + text.length))
  const made = { length: words.length, nullCount: 0, type, validity: NO_BYTES, offsets }
  return new Column([new (batchType(type))({ ...made, values: new Uint8Array(Buffer.concat(texts)) })], type)
}

/** The columns of events in an Arrow file. Throws Unreadable, and whatever the library does on bytes that are none. */
export function arrowRead(bytes: Uint8Array): ReadColumns {
  const table = tableFromIPC(bytes)
  return {
    metadata: new Map(table.schema.metadata ?? []),
    rows: table.numRows,
    column: (of) => {
      const column = table.getChild(of.name)
      if (!column) throw new Unreadable(`has no column ${of.name}`)
      return valuesOf(column, of)
    },
    lists: (name) => {
      const column = table.getChild(name)
      if (!column) throw new Unreadable(`has no column ${name}`)
      return listsIn(column, name)
    },
  }
}

function valuesOf(column: Column<unknown>, of: ColumnOf): Values {
  const { name, type, none, words } = of
  const values = new ARRAYS[type](column.length)
  const coded = words && Array.from(dictionaryOf(column), (word) => numberOf(word, of))
  let at = 0
  for (const { values: part, length, nullCount, validity } of column.data) {
    if (part.length < length) throw new Unreadable(`has a column ${name} that ends early`)
    const own = values.subarray(at, at + length)
    if (coded) for (let row = 0; row < length; row++) own[row] = coded[Number(part[row])]
    else own.set((part as Values).subarray(0, length))
    if (nullCount && none === undefined) throw new Unreadable(`has ${nullCount} rows without a value in column ${name}`)
    if (nullCount) for (let row = 0; row < length; row++) if (!((validity[row >> 3] >> (row & 7)) & 1)) own[row] = none!
    at += length
  }
  return values
}

function listsIn(column: Column<unknown>, name: string): Lists {
  const starts = new Int32Array(column.length + 1)
  const parts: Float32Array[] = []
  let [row, at] = [0, 0]
  for (const { offsets, children, length } of column.data as unknown as ListBatch[]) {
    const [{ values }] = children
    if (!offsets || offsets.length < length + 1 || !(values instanceof Float32Array) || values.length < offsets[length])
      throw new Unreadable(`has a column ${name} that ends early`)
    for (let i = 0; i < length; i++) starts[++row] = at + offsets[i + 1] - offsets[0]
    at = starts[row]
    parts.push(values.subarray(offsets[0], offsets[length]))
  }
  const values = new Float32Array(at)
  parts.reduce((to, part) => (values.set(part, to), to + part.length), 0)
  return { starts, values }
}

/** What a batch of lists has. */
interface ListBatch {
  length: number
  offsets: Int32Array
  children: { values: unknown }[]
}

const dictionaryOf = ({ data: [first] }: Column<unknown>): Iterable<unknown> =>
  (first as unknown as { dictionary?: Column<string> } | undefined)?.dictionary ?? []
