/** Files of trials: one of each that was just done, and segments of many. A line each behind its checksum, so that what is broken is told from what is whole. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { replaceFile } from '../trace/files/replace.js'
import { checkedTrial, type Trial } from './trial.js'

const FORMAT = 'zslab.trials'
const VERSION = 1

const sumOf = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16)
const line = (of: unknown) => {
  const text = JSON.stringify(of)
  return `${sumOf(text)} ${text}\n`
}

/** Whole or not at all. Errors: 'file'. */
export const writeTrials = (path: string, trials: readonly Trial[]): Promise<void> =>
  replaceFile(path, 'trials', [line({ format: FORMAT, version: VERSION, count: trials.length }), ...trials.map(line)])

/** What of a file is whole, and in words what is not. */
export async function readTrials(path: string): Promise<{ trials: Trial[]; fault?: string }> {
  let first: string | undefined
  let lines: string[]
  try {
    ;[first, ...lines] = (await readFile(path, 'utf8')).split('\n')
  } catch (error) {
    return { trials: [], fault: (error as Error).message }
  }
  const { format, version, count } = (parsed(first) ?? {}) as { format?: unknown; version?: unknown; count?: unknown }
  if (format !== FORMAT || version !== VERSION) return { trials: [], fault: 'it is no file of trials of this version' }
  const trials = lines.flatMap((text) => {
    try {
      const found = parsed(text)
      return found === undefined ? [] : [checkedTrial(found)]
    } catch {
      return []
    }
  })
  return trials.length === count
    ? { trials }
    : { trials, fault: `${trials.length} of its ${String(count)} trials are whole` }
}

/** What a line holds; undefined: it is broken. */
function parsed(text: string): unknown {
  const [sum, json] = [text.slice(0, 16), text.slice(17)]
  return json && sumOf(json) === sum ? JSON.parse(json) : undefined
}
