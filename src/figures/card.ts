/** What a figure says of how it was made: its recipe, and the card that goes into its files. */
import { createHash } from 'node:crypto'
import { isAbsolute, relative, sep } from 'node:path'
import { csvOf, type Columns } from '../frames.js'
import { FORMAT, VERSION, type FigureCard } from '../recipe/card.js'
import { recipeOf, Recipe } from '../recipe/recipe.js'
import { statementsOf, type Plain } from '../recipe/statements.js'
import { ownVersion } from '../trace/card.js'
import type { Part } from './part.js'
import { STYLE_OPTIONS, styleOf, type StyleOptions } from './style.js'

/** The function that made a figure, and what it was given: what it is drawn from, then options. */
export type FigureCall = readonly [name: string, ...given: unknown[]]

export interface Carded {
  call: FigureCall
  part: Part | undefined
}

/** Of what a figure is drawn from: levels and names are what they are, other plain data has no recipe, and may be large. */
const sourceOf = (given: unknown): unknown =>
  Array.isArray(given)
    ? given.map(sourceOf)
    : isLevels(given) || isPlain(given)
      ? given
      : typeof given === 'object' && given !== null
        ? recipeOf(given)
        : Recipe.missing('nothing')

const isPlain = (given: unknown) => ['string', 'number', 'boolean'].includes(typeof given)
const isLevels = (given: unknown) =>
  typeof given === 'object' &&
  given !== null &&
  Object.getPrototypeOf(given) === Object.prototype &&
  Object.values(given).every((one) => one === null || isPlain(one))

export function figureRecipe({ call: [name, ...given], part }: Carded): Recipe {
  const of = given.slice(0, -1).map(sourceOf)
  const options = { ...(given[given.length - 1] as object) }
  for (const name of STYLE_OPTIONS) delete (options as Record<string, unknown>)[name]
  const whole = Recipe.of(`figures.${name}`, [...of, options])
  return part ? Recipe.of('part', [part], { on: whole }) : whole
}

/** `folder`: where its file is to lie. */
export function figureCard(carded: Carded, columns: Columns, style: StyleOptions, folder: string): FigureCard {
  const { size, theme } = styleOf(style)
  const { width, words } = style
  const { statements, missing } = statementsOf(figureRecipe(carded), folder)
  const last = carded.part ? -2 : -1
  const { call, given } = statements.at(last)!
  const [first] = Object.values(columns)
  return {
    format: FORMAT,
    version: VERSION,
    figure: call.replace('figures.', ''),
    options: given.at(-1) as { [name: string]: Plain },
    style: { size, theme, ...(width !== undefined && { width }), ...(words !== undefined && { words }) },
    ...(carded.part && { part: statements.at(-1)!.given[0] as { [name: string]: Plain } }),
    of: given.slice(0, -1),
    input: statements.slice(0, last),
    numbers: { rows: first?.length ?? 0, sha256: createHash('sha256').update(csvOf(columns)).digest('hex') },
    versions: { zslab: ownVersion(), node: process.versions.node },
    script: scriptName(),
    missing,
  }
}

/** The notebook where a server says which, else the script that node runs, from the working folder; null: not known. */
function scriptName(): string | null {
  const inKernel = Symbol.for('Jupyter.host') in globalThis
  const path = inKernel ? process.env.JPY_SESSION_NAME : process.argv[1]
  if (!path) return null
  const from = isAbsolute(path) ? relative(process.cwd(), path) : path
  // What lies elsewhere is a tool that runs scripts, or nobody's business.
  return from.startsWith('..') || from.includes('node_modules') ? null : from.split(sep).join('/')
}
