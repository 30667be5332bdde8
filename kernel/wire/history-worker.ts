/** The thread that holds the history's database. Kernels that run side by side share the file; each has a session number in it. */
import { mkdirSync, rmdirSync, statSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import type { Asked, Entry, FromHistory, Line, ToHistory } from './history.js'

type Sqlite = typeof import('node-sqlite3-wasm')
type Database = InstanceType<Sqlite['Database']>

const { Database } = createRequire(import.meta.url)('node-sqlite3-wasm') as Sqlite
const BUSY_MS = 5000
const PAUSE_MS = 10
/** A lock this old was left by a process that was killed: writing takes milliseconds. */
const STALE_MS = 3000
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY AUTOINCREMENT, began TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS cells (
    session INTEGER NOT NULL, line INTEGER NOT NULL, input TEXT NOT NULL, output TEXT, PRIMARY KEY (session, line));`

let file = workerData as string
const database = open()
let session: number | undefined

function open(): Database {
  try {
    if (file === 'none') return prepared(':memory:')
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    return prepared(file)
  } catch (error) {
    const reason = (error as Error).message
    writeSync(2, `the history ${file} cannot be used (${reason}): it is kept for this session only\n`)
    file = 'none'
    return prepared(':memory:')
  }
}

function prepared(path: string): Database {
  const made = new Database(path)
  patiently(() => made.exec(SCHEMA))
  return made
}

/** Another kernel may be writing. */
function patiently<T>(work: () => T): T {
  const until = Date.now() + BUSY_MS
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!/locked|busy/i.test((error as Error).message) || Date.now() > until) throw error
      unlockStale()
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
    }
  }
}

function unlockStale(): void {
  const lock = `${file}.lock`
  try {
    if (Date.now() - statSync(lock).mtimeMs > STALE_MS) rmdirSync(lock)
  } catch {
    // it was let go meanwhile
  }
}

/** This kernel's number, taken when it first has something to remember. */
function current(): number {
  return (session ??= patiently(() =>
    Number(database.run('INSERT INTO sessions (began) VALUES (?)', [new Date().toISOString()]).lastInsertRowid),
  ))
}

/** All at once, or as many as can be. */
function add(entries: readonly Entry[]): void {
  try {
    insert(entries)
  } catch (error) {
    if (entries.length === 1) throw error
    let failed: Error | undefined
    for (const one of entries)
      try {
        insert([one])
      } catch (error) {
        failed ??= error as Error
      }
    if (failed) throw failed
  }
}

function insert(entries: readonly Entry[]): void {
  const session = current()
  const values = entries.map(() => '(?, ?, ?, ?)').join(', ')
  const rows = entries.flatMap(({ line, input, output }) => [session, line, input, output])
  patiently(() => database.run(`INSERT OR REPLACE INTO cells (session, line, input, output) VALUES ${values}`, rows))
}

function find(asked: Asked, output: boolean): Line[] {
  const columns = 'SELECT session, line, input, output FROM cells'
  const limit = 'n' in asked && asked.n !== undefined ? Math.max(0, Math.floor(asked.n)) : -1
  const last = 'ORDER BY session DESC, line DESC LIMIT ?'
  const select = (): Row[] => {
    if (asked.how === 'tail') return all(`${columns} ${last}`, [limit]).reverse()
    if (asked.how === 'range') {
      const number = asked.session > 0 ? asked.session : current() + asked.session
      const rows = [number, asked.start, asked.stop ?? Number.MAX_SAFE_INTEGER]
      return all(`${columns} WHERE session = ? AND line >= ? AND line < ? ORDER BY line`, rows)
    }
    const pattern = asked.pattern.replaceAll('[', '[[]')
    const latest =
      'SELECT 1 FROM cells AS later WHERE later.input = cells.input AND (later.session, later.line) > (cells.session, cells.line)'
    const unique = asked.unique ? `AND NOT EXISTS (${latest})` : ''
    return all(`${columns} WHERE input GLOB ? ${unique} ${last}`, [pattern, limit]).reverse()
  }
  return patiently(select).map((row) => [row.session, row.line, output ? [row.input, row.output] : row.input])
}

interface Row {
  session: number
  line: number
  input: string
  output: string | null
}

function all(query: string, values: (string | number)[]): Row[] {
  return database.all(query, values) as unknown as Row[]
}

parentPort!.on('message', (message: ToHistory) => {
  const { id } = message
  let answer: FromHistory = { id, lines: [] }
  try {
    if (message.op === 'add') add(message.entries)
    else if (message.op === 'find') answer = { id, lines: find(message, message.output) }
    else database.close()
  } catch (error) {
    answer = { id, error: `${file}: ${(error as Error).message}` }
  }
  parentPort!.postMessage(answer)
})
