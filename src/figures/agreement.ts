/** Agreement: how alike measures of heads rank them, each two in a tile, and each with itself on other texts in the diagonal. */
import { invalid, oneOf } from '../expect.js'
import { medianOf } from '../statistics/moments.js'
import { Figure } from './figure.js'
import { bodyOf } from './layout.js'
import { addBox, noBoxes, noWords } from './marks.js'
import type { Mark, Plot, Tick } from './plot.js'
import { counted, plainNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortened, textWidth } from './text.js'
import { ends, shortModel } from './words.js'

const STATISTICS = ['spearman', 'kendall', 'top'] as const
type Statistic = (typeof STATISTICS)[number]

export interface AgreementOptions extends StyleOptions {
  /** spearman (default): ρ of all heads; kendall: τ-b; top: the share of the top quarter that is in both. */
  statistic?: Statistic
}

interface Estimate {
  value: number | null
  low: number | null
  high: number | null
}

type Pair = { a: string; b: string; heads: number } & Readonly<Record<Statistic, Estimate>>

/** What importance.agreement() gives. */
export interface AgreementsData {
  names: readonly string[]
  pairs: readonly Pair[]
  reliability: Readonly<Record<string, { all: number | null }>>
  card: { model: { name: string } }
  table(): Record<string, (string | number | boolean | null)[]>
}

const WORDS: Record<Statistic, { name: string; axis: string; from: number }> = {
  spearman: { name: 'Spearman', axis: 'Spearman’s ρ', from: -1 },
  kendall: { name: 'Kendall', axis: 'Kendall’s τ-b', from: -1 },
  top: { name: 'top-quarter overlap', axis: 'overlap of top quarters', from: 0 },
}

/**
 * What importance.agreement() found, a row and a column for each measure; of Spearman's ρ the diagonal is how far a measure agrees with itself on
 * other texts. Lighter is more alike, also in grey. `data`: its table. Errors: 'invalid' for something else, fewer than two measures, another statistic.
 */
export function agreement(agreements: AgreementsData, options: AgreementOptions = {}): Figure {
  const style = styleOptions('agreement', options, ['statistic'])
  if (!agreements?.pairs || !agreements.reliability)
    throw invalid('agreements', 'what importance.agreement() found', agreements)
  if (agreements.names.length < 2)
    throw invalid('agreements', 'those of at least two measures', agreements.names.length)
  const statistic = options.statistic === undefined ? 'spearman' : oneOf('statistic', options.statistic, STATISTICS)
  const words = wordsOf(agreements, statistic)
  const plot = (chosen: Style): Plot => ({ ...words, ...picture(agreements, statistic, chosen, words) })
  const columns = () => agreements.table()
  return new Figure(
    { call: ['agreement', agreements, options], summary: `${words.title}. ${words.detail}`, columns, plot },
    style,
  )
}

const decimals = (value: number) =>
  Math.abs(value) < 0.005 ? '0.00' : `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(2)}`

function wordsOf(
  { names, pairs, reliability }: AgreementsData,
  statistic: Statistic,
): { title: string; detail: string } {
  const { name } = WORDS[statistic]
  const value = (pair: Pair) => pair[statistic].value!
  const known = pairs.filter((pair) => pair[statistic].value !== null).sort((a, b) => value(b) - value(a))
  if (!known.length)
    return {
      title: `Agreement of ${counted(names.length, 'measure')}: none to be told`,
      detail: `None of ${counted(pairs.length, 'pair')} has a value: a measure is the same for all heads, or they have too few in common.`,
    }
  const said = (pair: Pair) => `${pair.a} and ${pair.b}, ${decimals(value(pair))}${ends(pair[statistic], decimals)}`
  const [first, last] = [known[0], known[known.length - 1]]
  const certain = known.filter(({ [statistic]: { low, high } }) => low !== null && high !== null)
  const alike = certain.filter(({ [statistic]: { low } }) => low! > 0)
  const opposite = certain.filter(({ [statistic]: { high } }) => high! < 0)
  const own = names.map((each) => reliability[each]?.all ?? NaN).filter((all) => !Number.isNaN(all))
  const signs =
    statistic === 'top' || !certain.length
      ? ''
      : ` By their intervals ${plainNumber(alike.length)} of ${counted(certain.length, 'pair')} rank heads alike, ${plainNumber(opposite.length)} the other way round.`
  const self =
    statistic === 'spearman' && own.length
      ? ` With itself on other texts a measure agrees by ${decimals(Math.min(...own))} to ${decimals(Math.max(...own))}.`
      : ''
  return {
    title: `${first.a} and ${first.b} agree most: ${name} ${decimals(value(first))}${ends(first[statistic], decimals)}`,
    detail: `${known.length > 1 ? `Least: ${said(last)}; median` : 'Median'} of ${counted(known.length, 'pair')} ${decimals(medianOf(known.map(value)))}.${signs}${self}`,
  }
}

interface Tile {
  row: number
  column: number
  value: number | null
  said: string
}

function tilesOf({ names, pairs, reliability }: AgreementsData, statistic: Statistic): Tile[] {
  const tiles: Tile[] = []
  names.forEach((a, row) =>
    names.forEach((b, column) => {
      if (row === column) {
        const value = statistic === 'spearman' ? (reliability[a]?.all ?? null) : null
        const said = value === null ? a : `${a} with itself on other texts: ${decimals(value)}`
        tiles.push({ row, column, value, said })
        return
      }
      const pair = pairs.find((one) => (one.a === a && one.b === b) || (one.a === b && one.b === a))
      const found = pair?.[statistic] ?? { value: null, low: null, high: null }
      const what = found.value === null ? 'not defined' : `${decimals(found.value)}${ends(found, decimals)}`
      tiles.push({
        row,
        column,
        value: found.value,
        said: `${a}, ${b}: ${what}${pair ? `\n${counted(pair.heads, 'head')}` : ''}`,
      })
    }),
  )
  return tiles
}

function picture(
  agreements: AgreementsData,
  statistic: Statistic,
  style: Style,
  words: { title: string; detail: string },
) {
  const { names, card, pairs } = agreements
  const { axis, from } = WORDS[statistic]
  const n = names.length
  const boxes = noBoxes(axis, 'held', { seamless: true })
  const labels = noWords({ anchor: 'middle', mono: false })
  for (const { row, column, value, said } of tilesOf(agreements, statistic)) {
    const at = value === null ? 0 : (Math.min(1, Math.max(from, value)) - from) / (1 - from)
    const color: Fill = value === null ? 'paper' : `ramp:${Math.round(100 * at) / 100}`
    addBox(boxes, [column - 0.5, column + 0.5, row - 0.5, row + 0.5], said, color)
    labels.x.push(column)
    labels.y.push(row)
    labels.text.push(value === null ? '–' : decimals(value))
    labels.colors.push(value === null ? 'muted' : `on:${color}`)
  }
  const rowNames = names.map((name, i): Tick => ({
    at: i,
    text: `${shortened(name, (style.size === 'column' ? 0.4 : 0.3) * style.width, { size: style.small })} ${i + 1}`,
  }))
  const beside = Math.max(...rowNames.map(({ text }) => textWidth(text, { size: style.small })))
  const tile = (style.width - 2 * style.margin - beside - 3 * style.text) / n
  // Names take their height, whatever a tile's width is.
  const least = style.small * 1.25
  const row = Math.max(least, Math.min(tile, style.text * 2.1))
  const marks: Mark[] = [boxes]
  if (tile >= textWidth('−0.00', { size: style.text }) + 2) marks.push(labels)
  const heads = new Set(pairs.map((pair) => pair.heads))
  const said = {
    subject: `${shortModel(card.model.name)} · ${heads.size === 1 ? counted([...heads][0], 'head') : `${plainNumber(Math.min(...heads))} to ${plainNumber(Math.max(...heads))} heads`}`,
    notes:
      statistic === 'spearman'
        ? ['In the diagonal: each measure with itself on other texts, from split halves (–: not to be told).']
        : [],
    legend: [],
    ramp: { label: `${axis}:`, from: from < 0 ? '−1' : '0', to: '1', kind: 'ramp' as const },
    arrangement: 'rows' as const,
  }
  // On a slide, every second or third where all of them have no room.
  const room = style.height ? bodyOf({ ...words, ...said }, style) - 3 * style.text : n * row
  const every = Math.max(1, Math.ceil((n * least) / room - 1e-9))
  return {
    ...said,
    panels: [
      {
        share: 1,
        x: { range: [-0.5, n - 0.5] as [number, number], ticks: names.map((_, at) => ({ at, text: String(at + 1) })) },
        y: { range: [n - 0.5, -0.5] as [number, number], ticks: rowNames.filter(({ at }) => at % every === 0) },
        marks,
      },
    ],
    body: Math.max(90, n * row + 3 * style.text),
  }
}
