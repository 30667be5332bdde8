/** What JSON.stringify(importance) wrote, read back. */
import { ZslabError } from '../errors.js'
import type { DistanceBin } from './distances.js'
import type { CurveValues, Distances, HeadMeasure, HeadsShape, ImportanceFacts, ImportanceParts } from './facts.js'
import type { Measure } from './measure.js'

export const FORMAT = 'zslab.heads'
export const VERSION = 1

type Rows = readonly (readonly (number | null)[])[]

interface Saved extends ImportanceFacts {
  version: number
  layers: number
  heads: number
  kvHeads: number
  distances: { bins: Distances['bins']; shares: readonly Rows[] } | null
  /** Not in files that were written before there was the measure. */
  curves?: CurveValues | null
  measures: Record<string, SavedMeasure>
}

interface SavedMeasure extends Omit<Measure, 'least' | 'most'> {
  least: number | null
  most: number | null
  random: boolean
  reliability: HeadMeasure['reliability']
  values: Rows
  perText: Rows[]
}

/** Errors: 'file' with what is missing. */
export function savedParts(path: string, content: Record<string, unknown>): ImportanceParts {
  const saved = content as unknown as Saved
  const fault = (what: string) => new ZslabError('file', `${path} is no whole file of measured heads: ${what}`)
  if (saved.version !== VERSION)
    throw fault(`its version is ${String(saved.version)}, and this zslab reads version ${VERSION}`)
  const { layers, heads, kvHeads } = saved
  const counts = { layers, heads, kvHeads }
  for (const [name, count] of Object.entries(counts))
    if (!Number.isInteger(count) || count < 1) throw fault(`it has no count of ${name}`)
  if (heads % kvHeads) throw fault(`${heads} query heads do not share ${kvHeads} kv heads`)
  const flat = (rows: unknown, what: string): Float64Array => {
    const whole =
      Array.isArray(rows) &&
      rows.length === layers &&
      rows.every((row) => Array.isArray(row) && row.length === heads && row.every(isNumber))
    if (!whole) throw fault(`${what} are not numbers [${layers}][${heads}]`)
    return Float64Array.from((rows as Rows).flat(), (value) => value ?? NaN)
  }
  if (typeof saved.measures !== 'object' || saved.measures === null) throw fault('it has no measures')
  const found = Object.entries(saved.measures).map(([name, each]): HeadMeasure => {
    const { values, perText, random, reliability, least, most, ...about } = each ?? {}
    if (!Array.isArray(perText)) throw fault(`${name} has no values by text`)
    const words = [about.formula, about.unit, about.source, about.differs]
    if (about.name !== name || !words.every((one) => typeof one === 'string') || !wholes([about.leastTokens], 0))
      throw fault(`${name} does not say what it is: its formula, unit, source, least tokens`)
    if (![least, most].every(isNumber)) throw fault(`${name} has no range`)
    if (!reliability || ![reliability.halves, reliability.all].every(isNumber))
      throw fault(`${name} does not say how far its halves agree`)
    if (!['max', 'mean', 'own'].includes(about.kv)) throw fault(`${name} does not say how kv heads come of it`)
    return {
      measure: { ...about, name, least: least ?? -Infinity, most: most ?? Infinity },
      values: flat(values, `the values of ${name}`),
      perText: perText.map((text, i) => flat(text, `the values of ${name} in text ${i}`)),
      random: random === true,
      reliability,
    }
  })
  if (!savedTexts(saved.texts, 0) || !isCard(saved.card)) throw fault('it does not say which texts, or made by what')
  const { card, texts, seeds, needleSeeds, tokens, rows, policy = null } = saved
  if (!wholes(seeds, 0) || !wholes(needleSeeds, 0) || !wholes([tokens, rows], 1))
    throw fault('it does not say from which seeds, or of how many tokens and rows')
  if (policy !== null && typeof policy !== 'string') throw fault('its policy is no call that makes one')
  return {
    shape: { layers, heads, kvHeads },
    found,
    distances: distancesOf(saved, fault),
    curves: curvesOf(saved, counts, fault),
    facts: { card, texts, seeds, needleSeeds, tokens, rows, policy },
  }
}

const isNumber = (value: unknown) => value === null || Number.isFinite(value)
const wholes = (values: unknown, least: number) =>
  Array.isArray(values) && values.every((value) => Number.isInteger(value) && value >= least)

/** Whether these are texts as facts have them, at least so many. */
export const savedTexts = (texts: unknown, least: number): boolean =>
  Array.isArray(texts) &&
  texts.length >= least &&
  texts.every(
    (text: { tokens?: unknown; ids?: unknown } | null) => text && wholes([text.tokens], 1) && wholes(text.ids, 0),
  )

/** Whether this says which model. */
export const isCard = (card: unknown): boolean =>
  typeof (card as { model?: { name?: unknown } } | null)?.model?.name === 'string'

function curvesOf({ curves, texts }: Saved, { layers, kvHeads }: HeadsShape, fault: (what: string) => ZslabError) {
  if (!curves) return null
  const { shares, others, perText } = curves
  const numbers = (row: unknown, count: number) =>
    Array.isArray(row) && row.length === count && row.every(Number.isFinite)
  const rows = (given: unknown, count: number): given is unknown[] => Array.isArray(given) && given.length === count
  const whole =
    Array.isArray(shares) &&
    numbers([...shares, others], shares.length + 1) &&
    shares.every((share, i) => share > (shares[i - 1] ?? 0) && share < 1) &&
    others > 0 &&
    others <= 1 &&
    rows(perText, layers) &&
    perText.every(
      (heads) =>
        rows(heads, kvHeads) &&
        heads.every(
          (own) => own === null || (rows(own, texts.length) && own.every((row) => numbers(row, shares.length))),
        ),
    ) &&
    perText.some((heads) => heads.some((own) => own))
  if (!whole)
    throw fault(
      `its curves are not of shares in ascending order, or not numbers [${layers}][${kvHeads}][texts][shares]`,
    )
  return { shares, others, perText }
}

function distancesOf({ layers, heads, distances }: Saved, fault: (what: string) => ZslabError): Distances | null {
  if (!distances) return null
  const { bins, shares } = distances
  const whole =
    Array.isArray(bins) &&
    bins.every((bin: DistanceBin | null) => bin && wholes([bin.from, bin.to], 0)) &&
    Array.isArray(shares) &&
    shares.length === layers &&
    shares.every(
      (layer) =>
        Array.isArray(layer) &&
        layer.length === heads &&
        layer.every((row) => Array.isArray(row) && row.length === bins.length && row.every(isNumber)),
    )
  if (!whole) throw fault(`its distances are not shares [${layers}][${heads}] of each of its bins`)
  const given = (row: readonly (number | null)[]) => Float64Array.from(row, (value) => value ?? NaN)
  return { bins, shares: distances.shares.map((layer) => layer.map(given)) }
}
