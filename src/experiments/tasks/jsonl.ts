/** A user's own records, a JSON object a line: what is wrong with one is said with its file and line. */
import { readFileSync } from 'node:fs'
import { ZslabError } from '../../errors.js'
import { invalid, object, options as checked, text } from '../../expect.js'

/** What `read` makes of each line's object; `known`: its fields. Empty lines are none. Errors: 'file' naming file and line. */
export function readRecords<T>(
  path: unknown,
  known: readonly string[],
  read: (record: Readonly<Record<string, unknown>>) => T,
): (T & { at: string })[] {
  const file = text('file', path)
  let lines: string[]
  try {
    lines = readFileSync(file, 'utf8').split('\n')
  } catch (error) {
    throw new ZslabError('file', `${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  const records = lines.flatMap((line, i) => {
    if (!line.trim()) return []
    const at = `${file}:${i + 1}`
    try {
      return [{ ...read(checked('the line', object('the line', JSON.parse(line)), known)), at }]
    } catch (error) {
      const why = error instanceof ZslabError ? error.message : `it is no JSON: ${(error as Error).message}`
      throw new ZslabError('file', `${at}: ${why}`, { cause: error })
    }
  })
  if (!records.length) throw new ZslabError('file', `${file} has no records: expected a JSON object a line`)
  return records
}

/** Some words. */
export function words(name: string, given: unknown): string {
  if (!text(name, given).trim()) throw invalid(name, 'some words', given)
  return given as string
}

/** One, or several that are each right. */
export function wordsOf(name: string, given: unknown): string[] {
  if (!Array.isArray(given)) return [words(name, given)]
  if (!given.length) throw invalid(name, 'at least one', given)
  return given.map((one, i) => words(`${name}[${i}]`, one))
}
