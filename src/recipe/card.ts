/** The card of a figure: what it shows, of what, and how that was made; as it stands in the figure's file. */
import { ZslabError } from '../errors.js'
import type { Plain, Statement } from './statements.js'

export const FORMAT = 'zslab.figure'
export const VERSION = 1

export interface FigureCard {
  format: string
  version: number
  /** The function of `figures` that made it. */
  figure: string
  /** What it was given beside `of` and the style. */
  options: { [name: string]: Plain }
  style: { size: string; theme: string; width?: string; words?: string }
  /** What of it is drawn, where that is a part. */
  part?: { [name: string]: Plain }
  /** What it is drawn from, by the names that `input` gives: { $: name }. */
  of: Plain[]
  /** The calls that made that, in order, with files (and their SHA-256), token ids and seeds. */
  input: Statement[]
  /** The figure's numbers (figure.columns) as CSV. */
  numbers: { rows: number; sha256: string }
  versions: { zslab: string; node: string }
  /** The notebook or script that made it; null: not known. */
  script: string | null
  /** What cannot be made again, in words; empty: everything can. */
  missing: string[]
}

/** By name, what a card needs to have, and whether it has it. */
const PARTS: Readonly<Record<string, (value: unknown) => boolean>> = {
  figure: (value) => typeof value === 'string' && /^[a-z]\w*$/.test(value),
  options: isObject,
  style: (value) => isObject(value) && ['size', 'theme'].every((name) => typeof value[name] === 'string'),
  of: Array.isArray,
  input: (value) => Array.isArray(value) && value.every(isStatement),
  numbers: (value) => isObject(value) && typeof value.sha256 === 'string' && Number.isInteger(value.rows),
  versions: (value) => isObject(value) && typeof value.zslab === 'string',
  script: (value) => value === null || typeof value === 'string',
  missing: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const NAME = /^[a-z]\w*$/i

function isStatement(value: unknown): boolean {
  if (!isObject(value)) return false
  const { name, on, call, given, then = [] } = value
  const step = (one: unknown) =>
    isObject(one) &&
    typeof one.call === 'string' &&
    Array.isArray(one.given) &&
    (one.each === undefined || (Array.isArray(one.each) && one.each.every(Number.isFinite)))
  return (
    typeof name === 'string' &&
    NAME.test(name) &&
    (on === undefined || typeof on === 'string') &&
    typeof call === 'string' &&
    Array.isArray(given) &&
    Array.isArray(then) &&
    then.every(step)
  )
}

/** `found` as a card. Errors: 'file', naming `path` and what is missing, or which version it takes. */
export function checkedCard(found: unknown, path: string): FigureCard {
  const fault = (what: string) => new ZslabError('file', `${path}: ${what}`)
  if (!isObject(found) || found.format !== FORMAT) throw fault('what it has for a card is none of a figure of zslab')
  const { version } = found
  if (typeof version !== 'number' || version > VERSION)
    throw fault(
      `its card is of version ${String(version)}, and this zslab reads versions up to ${VERSION}: take a newer zslab`,
    )
  const lacks = Object.keys(PARTS).filter((name) => !PARTS[name](found[name]))
  if (lacks.length)
    throw fault(
      `its card is older than this zslab, or damaged: it does not say, or not as it should, ${lacks.join(', ')}; without that the figure cannot be made again`,
    )
  return found as unknown as FigureCard
}
