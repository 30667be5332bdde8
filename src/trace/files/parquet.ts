/** Columns as a Parquet file and back. */
import { parquetMetadata, parquetRead as read, type SchemaElement } from 'hyparquet'
import { ByteWriter, ParquetWriter, type ColumnSource } from 'hyparquet-writer'
import { ARRAYS, isNone, type ColumnOf, type Laid, type TraceCell, type Values } from '../columns.js'
import { LIST_COLUMNS, type LaidLists } from './lists.js'
import { Pieces } from './pieces.js'
import { numberOf, Unreadable, type Lists, type ReadColumns } from './read.js'

/** Of a row group: rows, and numbers in lists, which are objects on the way. */
const ROWS = 1 << 17
const NUMBERS = 1 << 20

/** Named for every column: left to guess, the writer takes whole numbers for INT32 and all others for DOUBLE. */
const TYPES: Record<Laid['type'], Partial<SchemaElement>> = {
  int32: { type: 'INT32' },
  uint16: { type: 'INT32', converted_type: 'UINT_16' },
  uint8: { type: 'INT32', converted_type: 'UINT_8' },
  float32: { type: 'FLOAT' },
  float64: { type: 'DOUBLE' },
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
}

/** What was written goes on in pieces, a row group at a time. */
class PieceWriter extends ByteWriter {
  readonly pieces = new Pieces()

  flush(): void {
    this.pieces.write(this.getBytes().slice())
    this.index = 0
  }

  override finish(): void {
    this.flush()
    this.pieces.finish()
  }
}

/** The file in pieces; values are asked for row group by row group. */
export function parquetOf(
  laid: readonly Laid[],
  metadata: ReadonlyMap<string, string>,
  lists: readonly LaidLists[] = [],
): Uint8Array[] {
  const writer = new PieceWriter()
  const schema = laid.map(({ name, type, words, none }): SchemaElement => ({
    name,
    repetition_type: none === undefined ? 'REQUIRED' : 'OPTIONAL',
    ...TYPES[words ? 'text' : type],
  }))
  const parquet = new ParquetWriter({
    writer,
    schema: [
      { name: 'events', num_children: laid.length + lists.length },
      ...schema,
      ...lists.flatMap(({ name }) => listSchema(name)),
    ],
    kvMetadata: Array.from(metadata, ([key, value]) => ({ key, value })),
    statistics: false,
  })
  const rows = laid[0].values.length
  for (let from = 0, end; from < rows; from = end) {
    end = groupEnd(lists, from, rows)
    void parquet.write({
      columnData: [
        ...laid.map((column) => sourceOf(column, column.values.subarray(from, end))),
        ...lists.map(({ name, ...of }) => ({ name, data: listsFrom(of, from, end), encoding: 'PLAIN' as const })),
      ],
      rowGroupSize: ROWS,
      // Of one number a row a group is a page, as it is by the default of 2²⁰ bytes: nothing to count.
      ...(!lists.length && { pageSize: 0 }),
    })
  }
  void parquet.finish()
  return writer.pieces.all
}

/** Where a row group ends that begins at row `from`. */
function groupEnd(lists: readonly Lists[], from: number, rows: number): number {
  if (!lists.length) return Math.min(rows, from + ROWS)
  let [to, numbers] = [from, 0]
  for (; to < rows && to < from + ROWS && numbers < NUMBERS; to++)
    for (const { starts } of lists) numbers += starts[to + 1] - starts[to]
  return to
}

const listSchema = (name: string): SchemaElement[] => [
  { name, repetition_type: 'OPTIONAL', num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { name: 'element', repetition_type: 'REQUIRED', type: 'FLOAT' },
]

const listsFrom = ({ starts, values }: Lists, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) =>
    starts[from + i + 1] > starts[from + i]
      ? Array.from(values.subarray(starts[from + i], starts[from + i + 1]))
      : null,
  )

/** Words in a dictionary, whole numbers as differences: cheaper to write than a dictionary of numbers, and no larger. */
function sourceOf(column: Laid, values: Values): ColumnSource {
  const { name, type, words } = column
  const plain = type === 'float32' || type === 'float64'
  const encoding = words ? 'RLE_DICTIONARY' : plain ? 'PLAIN' : 'DELTA_BINARY_PACKED'
  return { name, data: valuesOf(column, values), encoding }
}

/** Rows without a value stay empty, since null among floats makes an object of each of them. */
function valuesOf({ words, none }: Laid, values: Values) {
  if (!words && none === undefined)
    return values instanceof Uint16Array || values instanceof Uint8Array ? new Int32Array(values) : values
  const cells = new Array<TraceCell>(values.length)
  for (let row = 0; row < cells.length; row++)
    if (!isNone(values[row], none)) cells[row] = words ? words[values[row]] : values[row]
  return cells
}

/** The `wanted` columns of a Parquet file. Throws Unreadable, and whatever the library does on bytes that are none. */
export async function parquetRead(bytes: Uint8Array, wanted: readonly ColumnOf[]): Promise<ReadColumns> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  const metadata = parquetMetadata(file)
  const there = new Set(metadata.schema.map(({ name }) => name))
  const missing = wanted.find(({ name }) => !there.has(name))
  if (missing) throw new Unreadable(`has no column ${missing.name}`)
  const chunks: { columnName: string; columnData: ArrayLike<unknown>; rowStart: number }[] = []
  // Only kept here: nobody would catch what is thrown in this callback.
  const lists = LIST_COLUMNS.filter(({ name }) => there.has(name))
  const columns = [...wanted, ...lists].map(({ name }) => name)
  await read({ file, metadata, columns, onChunk: (chunk) => void chunks.push(chunk) })
  const rows = Number(metadata.num_rows)
  return {
    metadata: new Map((metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ''])),
    rows,
    column: (of) => {
      const own = chunks.filter(({ columnName }) => columnName === of.name)
      const length = own.reduce((sum, { columnData }) => sum + columnData.length, 0)
      if (length !== rows) throw new Unreadable(`has ${length} of ${rows} rows in column ${of.name}`)
      const values = new ARRAYS[of.type](rows)
      for (const { columnData, rowStart } of own) put(values, columnData, rowStart, of)
      return values
    },
    lists: (name) => {
      const own = chunks.filter(({ columnName }) => columnName === name)
      if (!own.length && rows) throw new Unreadable(`has no column ${name}`)
      const all = new Array<ArrayLike<number> | null>(rows).fill(null)
      for (const { columnData, rowStart } of own)
        Array.from(columnData).forEach((one, i) => (all[rowStart + i] = one as ArrayLike<number> | null))
      const starts = new Int32Array(rows + 1)
      all.forEach((one, row) => (starts[row + 1] = starts[row] + (one?.length ?? 0)))
      const values = new Float32Array(starts[rows])
      all.forEach((one, row) => one && values.set(one, starts[row]))
      return { starts, values }
    },
  }
}

function put(values: Values, data: ArrayLike<unknown>, from: number, of: ColumnOf): void {
  const { words, none, name } = of
  for (let i = 0; i < data.length; i++) {
    const value = data[i]
    if (value != null) values[from + i] = words ? numberOf(value, of) : (value as number)
    else if (none === undefined) throw new Unreadable(`has no value in row ${from + i} of column ${name}`)
    else values[from + i] = none
  }
}
