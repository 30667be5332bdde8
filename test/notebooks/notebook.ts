/** Notebooks as the tests read them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
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

/** All that the study would do comes with the notebook: a store that keys no longer fit would be measured anew, for minutes. `plan`: the cell that says it. */
export const comesWith = (store: string, plan: Cell, most?: number): void => comesAsPlanned(store, planIn(plan), most)

/** What the plan says that is a cell's value. */
export const planIn = (cell: Cell) => joined(valueOf(cell)!['text/plain'])

/** As comesWith, by what a plan says. */
export function comesAsPlanned(store: string, plan: string, most = 2e6): void {
  const [, trials, done] = /: ([\d,]+) trials, ([\d,]+) of them done/.exec(plan)!
  assert.equal(done, trials, `${store} is of another version: npx zslab run with --fresh, and commit what it wrote`)
  const files = readdirSync(join(ROOT, 'notebooks/stores', store))
  assert.ok(files.every((file) => /^(study\.json|segment-\d{6}\.trials)$/.test(file)), files.join())
  const bytes = files.reduce((sum, file) => sum + statSync(join(ROOT, 'notebooks/stores', store, file)).size, 0)
  assert.ok(bytes < most, `${bytes} bytes`)
}

/** The files of numbers that come with a notebook are there, and are not of a run that began then. */
export function olderThan(began: number, name: string): void {
  const folder = join(ROOT, 'notebooks/data')
  const files = readdirSync(folder).filter((file) => file.startsWith(name) && file.endsWith('.json'))
  assert.ok(files.length, `no ${name}….json in notebooks/data`)
  for (const file of files) assert.ok(statSync(join(folder, file)).mtimeMs < began, `${file} was made anew`)
}

/** Mean and ends of an interval. */
const INTERVAL = /([+−]?[\d.,]+) \[([+−]?[\d.,]+), ([+−]?[\d.,]+)\]/g
const intervals = (text: string) =>
  Array.from(text.matchAll(INTERVAL), ([, ...of]) => of.map((one) => one.replaceAll(',', '')))
const numberOf = (text: string) => Number(text.replace('−', '-'))
/** With as many digits as it says. */
const says = (said: readonly string[], found: readonly string[]) =>
  said.every((one, i) => {
    const digits = one.split('.')[1]?.length ?? 0
    return Math.abs(numberOf(one) - numberOf(found[i])) <= 0.5001 * 10 ** -digits
  })

/** The cell 'answer' has intervals, and each of them was printed. */
export function answersInPrinted(committed: Notebook, cells: readonly Cell[]): void {
  const found = cells.flatMap((cell) => intervals(printed(cell)))
  const said = intervals(joined(committed.cells.find(({ id }) => id === 'answer')!.source))
  assert.ok(said.length, 'no interval in the answer')
  for (const one of said)
    assert.ok(
      found.some((own) => says(one, own)),
      `nothing printed says ${one.join()}`,
    )
}

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
