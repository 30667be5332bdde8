/** What a study has tables of, as one file: its columns, and the cards of what it was made with. */
import { extname } from 'node:path'
import { shown, ZslabError } from '../errors.js'
import { text } from '../expect.js'
import { SavedTable } from '../inspect/saved-table.js'
import type { TableColumn } from '../inspect/tables.js'
import { replaceFile } from '../trace/files/replace.js'
import { TRACE_ENDINGS } from '../trace/files/index.js'
import type { Level } from './designs.js'

const TEXTS = ['.csv', '.json']

export abstract class StudyTable extends SavedTable {
  abstract toJSON(): Record<string, unknown>

  /**
   * Writes by the path's ending: .arrow, .parquet and .csv have table(), .json all that there is. Of the first two, words are in dictionaries, and what
   * each column means and the cards are JSON in the schema's metadata (zslab.table). Returns the path. Errors: 'invalid' for another ending, 'file'
   * where it cannot be written.
   */
  override async save(path: string): Promise<string> {
    const ending = extname(text('path', path)).toLowerCase()
    const { what } = this.saved()
    const known: readonly string[] = [...TRACE_ENDINGS, ...TEXTS]
    if (!known.includes(ending))
      throw new ZslabError(
        'invalid',
        `${what} cannot be saved as ${shown(path)}: expected a name ending in ${known.slice(0, -1).join(', ')} or ${known[known.length - 1]}`,
      )
    if (!TEXTS.includes(ending)) return super.save(path)
    await replaceFile(path, what, [ending === '.csv' ? this.csv() : `${JSON.stringify(this, undefined, 2)}\n`])
    return path
  }
}

/** What tables of studies have beside dimensions and metrics. */
const OWN = [
  'call',
  'prompt',
  'cluster',
  'seed',
  'tokens',
  'unchanged',
  'failed',
  'trials',
  'clusters',
  'a',
  'b',
  'difference',
]

/** What a dimension's column is called: as it is, unless another column is called so, as the seed of prompts is beside that of a policy. */
export const columnOf = (dimension: string): string => (OWN.includes(dimension) ? `over.${dimension}` : dimension)

/** Numbers where all levels are, else words. */
export const levelColumn = (dimension: string, levels: readonly Level[]): TableColumn =>
  levels.every((level) => typeof level === 'number' || level === null)
    ? { name: columnOf(dimension), type: 'float64', none: NaN, about: 'its level' }
    : { name: columnOf(dimension), type: 'text', none: -1, about: 'its level' }

export const numberColumn = (name: string, about: string): TableColumn => ({ name, type: 'float64', none: NaN, about })
export const countColumn = (name: string, about: string): TableColumn => ({ name, type: 'int32', about })
export const wordColumn = (name: string, about: string, missing = false): TableColumn => ({
  name,
  type: 'text',
  ...(missing && { none: -1 }),
  about,
})
