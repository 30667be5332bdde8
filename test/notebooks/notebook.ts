/** Notebooks as the tests read them. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Output {
  output_type: 'stream' | 'execute_result' | 'display_data' | 'error'
  name?: string
  text?: string | string[]
  data?: Record<string, unknown>
}

export interface Cell {
  id: string
  cell_type: 'code' | 'markdown'
  metadata?: { tags?: string[] }
  source: string | string[]
  execution_count?: number | null
  outputs?: Output[]
}

export interface Notebook {
  nbformat: number
  nbformat_minor: number
  metadata: { kernelspec: { name: string; display_name: string; language: string } }
  cells: Cell[]
}

export const readNotebook = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Notebook

export const codeCells = (notebook: Notebook) => notebook.cells.filter((cell) => cell.cell_type === 'code')

export const joined = (text: unknown) => (Array.isArray(text) ? text.join('') : String(text ?? ''))

/** Everything that a cell printed. */
export const printed = (cell: Cell) =>
  (cell.outputs ?? [])
    .filter((output) => output.output_type === 'stream')
    .map((output) => joined(output.text))
    .join('')

/** The MIME bundle of a cell's value. */
export const valueOf = (cell: Cell) => cell.outputs?.find((output) => output.output_type === 'execute_result')?.data

/** An svg file as it is shown: its card is in files alone. */
export const withoutCard = (svg: string) => svg.replace(/<metadata>.*<\/metadata>\n/s, '')

/** What each code cell put out: kinds and MIME types. Progress, which shows only where work takes long, is left out. */
export const kindsOf = (notebook: Notebook) =>
  codeCells(notebook).map((cell) => [
    cell.id,
    cell
      .outputs!.filter((output) => output.output_type !== 'display_data')
      .map((output) => [output.output_type, Object.keys(output.data ?? {})]),
  ])

/** Runs node with `words` from the project's root. */
export const node = (words: readonly string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, words, { encoding: 'utf8', cwd: ROOT, env: { ...process.env, ...env } })
