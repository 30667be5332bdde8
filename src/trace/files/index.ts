/** Traces in files: the format by the path's ending, whole or not at all, and told apart from what is damaged or foreign. */
import { readFile, stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { shown, ZslabError } from '../../errors.js'
import { text } from '../../expect.js'
import type { EventColumns } from '../../native/binding.js'
import { EVENT_COLUMNS, laidOut, type EventName, type Laid } from '../columns.js'
import { factsOf, factsText, traceOf, type TraceOf } from './facts.js'
import { listColumnsOf, listsOf, type LaidLists, type ListName } from './lists.js'
import { Unreadable, type Lists, type ReadColumns } from './read.js'
import { checkPlace, replaceFile } from './replace.js'
import { BLANK, sealed, sealHolds } from './seal.js'

type Writer = (
  laid: readonly Laid[],
  metadata: ReadonlyMap<string, string>,
  lists?: readonly LaidLists[],
) => Uint8Array[]

/** What writes each format. Loaded where it is needed: the libraries are 20 MB of a process that may never save a trace. */
export const FORMATS: Record<'.arrow' | '.parquet', () => Promise<Writer>> = {
  '.arrow': async () => (await import('./arrow.js')).arrowOf,
  '.parquet': async () => (await import('./parquet.js')).parquetOf,
}
export const TRACE_ENDINGS = Object.keys(FORMATS) as (keyof typeof FORMATS)[]
/** Keys in the file's metadata. */
const FACTS = 'zslab.trace'
const SEAL = 'zslab.seal'

const THE_TRACE = 'the trace'

const endingOf = (path: string) => TRACE_ENDINGS.find((ending) => ending === extname(path).toLowerCase())

/**
 * That a trace can be saved as `path`, before anything is computed for it. Errors: 'invalid' for another ending, 'file' where
 * something has that name that is no file or may not be written, or the folder that it lies in is not there or may not be written.
 */
export async function checkTracePath(path: string): Promise<void> {
  if (!endingOf(text('path', path)))
    throw new ZslabError(
      'invalid',
      `a trace cannot be saved as ${shown(path)}: expected a name ending in ${TRACE_ENDINGS.join(' or ')}`,
    )
  await checkPlace(path, THE_TRACE)
}

/** Writes `events` and what they belong to. Errors: those of checkTracePath, and 'file'. */
export async function saveTrace(path: string, events: EventColumns, of: TraceOf): Promise<void> {
  await checkTracePath(path)
  const { tokens } = of.data()
  const laid = laidOut(events, (position) => tokens[position]?.text ?? '')
  const metadata = new Map([
    [SEAL, BLANK],
    [FACTS, factsText(events, of)],
  ])
  const ending = endingOf(path)!
  const lists = listsOf(events, of, ending)
  const written = await FORMATS[ending]()
  await replaceFile(path, THE_TRACE, sealed(written(laid, metadata, lists)))
}

/** What saveTrace wrote at `path`, whatever its name is now. Errors: 'file'. */
export async function openTrace(path: string): Promise<{ events: EventColumns; of: TraceOf }> {
  text('path', path)
  let bytes: Buffer
  try {
    if (!(await stat(path)).isFile()) throw new Error('it is a folder or a device, not a file')
    bytes = await readFile(path)
  } catch (error) {
    throw new ZslabError('file', `the trace ${shown(path)} cannot be read: ${(error as Error).message}`, {
      cause: error,
    })
  }
  try {
    return contents(await columnsOf(bytes))
  } catch (error) {
    const why = error instanceof Unreadable ? error.message : `cannot be understood: ${(error as Error).message}`
    throw new ZslabError('file', `${shown(path)} ${why}`, { cause: error })
  }
}

const EXPECTED = `expected what trace.save('x${TRACE_ENDINGS[0]}') or zslab generate --trace wrote`

async function columnsOf(bytes: Buffer): Promise<ReadColumns> {
  if (!bytes.length) throw new Unreadable(`is empty: ${EXPECTED}`)
  const begins = (magic: string) => bytes.subarray(0, magic.length).equals(Buffer.from(magic))
  const format = begins('ARROW1') ? 'an Arrow' : begins('PAR1') ? 'a Parquet' : undefined
  if (!format) throw new Unreadable(`is neither an Arrow nor a Parquet file: ${EXPECTED}`)
  const holds = sealHolds(bytes)
  if (holds === undefined) throw new Unreadable(`begins as ${format} file but is no whole trace of zslab: ${EXPECTED}`)
  if (!holds)
    throw new Unreadable(
      'is not as it was written (its SHA-256 differs): it was cut, damaged or changed; copy or save it again',
    )
  return begins('PAR1')
    ? (await import('./parquet.js')).parquetRead(bytes, EVENT_COLUMNS)
    : (await import('./arrow.js')).arrowRead(new Uint8Array(bytes))
}

function contents({ metadata, rows, column, lists }: ReadColumns): { events: EventColumns; of: TraceOf } {
  const facts = factsOf(metadata.get(FACTS) ?? 'null')
  if (facts.rows !== rows) throw new Unreadable(`has ${rows} of ${facts.rows} rows`)
  const events = { count: facts.count } as EventColumns
  for (const of of EVENT_COLUMNS) Object.assign(events, { [of.name satisfies EventName]: column(of) })
  const there = new Map<string, Lists>()
  const of = traceOf(facts, events, (name: ListName) => there.get(name)!)
  for (const { name } of listColumnsOf(of.recorded)) there.set(name, lists(name))
  return { events, of }
}
