/** Panel: several figures in one, with letters, one legend for what they share, and one file. */
import { integer, invalid } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { Columns } from '../frames.js'
import { Figure } from './figure.js'
import { cellWidth, pictureLayout } from './grid.js'
import { pictured } from './pictured.js'
import type { Cell, LegendEntry, Plot } from './plot.js'
import { leastWidth, nearest, styleOf, styleOptions, type Style, type StyleOptions } from './style.js'
import { listed } from './words.js'

export interface PanelOptions extends StyleOptions {
  /** So many side by side. Default: 2 where that fits, else 1. */
  columns?: number
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz'
const letter = (at: number) => `(${LETTERS[at]})`

/**
 * Several figures in one picture, (a), (b) …: each under its title and as wide as its column, what their legends share once above all of them,
 * notes below. `data`: their numbers one below the other, a column `panel` with the letter first, null where a figure has no such column.
 * Errors: 'invalid' for something else than one to 26 figures, for panels in panels, and where columns would be too narrow to read.
 */
export function panel(figures: readonly Figure[], options: PanelOptions = {}): Figure {
  const style = styleOptions('panel', options, ['columns'])
  if (!Array.isArray(figures) || !figures.every((one) => one instanceof Figure))
    throw invalid('figures', 'an array of figures', figures, 'figures.panel([figures.survival(run), …])')
  if (!figures.length || figures.length > LETTERS.length)
    throw invalid('figures', `1 to ${LETTERS.length} figures`, figures.length)
  if (figures.some((one) => one.isPanel)) throw invalid('figures', 'figures that are no panels', 'a panel')
  const asked = options.columns === undefined ? undefined : integer('columns', options.columns, 1, figures.length)
  if (asked !== undefined) cellStyle(styleOf(style), asked)
  const { title, detail } = wordsOf(figures.map((one) => one.plot))
  const plot = (chosen: Style) => plotOf(figures, asked ?? columnsFor(chosen, figures.length), chosen)
  return new Figure(
    {
      call: ['panel', figures, options],
      summary: `${title}. ${detail}`,
      caption: figures.map(({ plot }, at) => `${letter(at)} ${plot.title}. ${plot.detail}`).join(' '),
      columns: () => joined(figures.map((one) => one.columns)),
      plot,
    },
    style,
  )
}

/** What figures of so many pixels are drawn with, 8 to 9 pt throughout, on a slide as large as a slide's; undefined: they are too narrow. */
function styleAt(style: Style, width: number): Style | undefined {
  const { theme, size, spelt } = style
  const base = size === 'talk' ? size : nearest(width)
  if (width < leastWidth(base) && base !== 'talk') return undefined
  const drawn = { ...styleOf({ size: base, theme }), spelt, width, margin: 0, height: undefined, showSummary: false }
  // Half a slide has room for what a column has, in larger letters.
  return base === 'talk' && width < leastWidth(base) ? { ...drawn, size: 'column' } : drawn
}

function cellStyle(style: Style, columns: number): Style {
  const width = cellWidth(style, columns)
  const found = styleAt(style, width)
  if (found) return found
  const inches = (pixels: number) => `${(pixels / 96).toFixed(1)} in`
  throw new ZslabError(
    'invalid',
    `${columns} columns in ${inches(style.width)} are ${inches(width)} each, too narrow to read: expected ${inches(leastWidth('column'))} or more; give fewer columns, or size 'wide'`,
  )
}

const columnsFor = (style: Style, count: number) => (count > 1 && styleAt(style, cellWidth(style, 2)) ? 2 : 1)

function plotOf(figures: readonly Figure[], columns: number, style: Style): Plot {
  const own = cellStyle(style, columns)
  const drawn = (of: readonly Style[]) =>
    joinedPlot(
      figures.map((one, at) => one.plotIn(of[at])),
      of,
      columns,
      style.words,
    )
  const all = figures.map(() => own)
  if (!style.height) return drawn(all)
  // How high each is on a slide follows from headings and legends, which are there once they have been drawn.
  const rows = Math.ceil(figures.length / columns)
  const guess = drawn(all.map((one) => ({ ...one, height: style.height! / rows })))
  const places = pictureLayout(guess, style).cells!
  const heights = places.map(({ layout: { panels } }) => {
    const areas = panels.map(({ area }) => area)
    return Math.max(...areas.map(({ bottom }) => bottom)) - Math.min(...areas.map(({ top }) => top))
  })
  if (Math.min(...heights) < 7 * style.text)
    throw new ZslabError(
      'invalid',
      `${figures.length} figures in ${rows} row${rows > 1 ? 's' : ''} leave too little room on a slide: give fewer, or size 'wide', which is as high as it needs to be`,
    )
  return drawn(places.map(({ layout: { height } }) => ({ ...own, height })))
}

function joinedPlot(plots: readonly Plot[], styles: readonly Style[], columns: number, words: Style['words']): Plot {
  const shared = sharedEntries(plots)
  const ramps = plots.flatMap(({ ramp }) => ramp ?? [])
  const ramp = ramps.length > 1 && new Set(ramps.map((one) => JSON.stringify(one))).size === 1 ? ramps[0] : undefined
  const each = plots.map((plot, at): Cell => ({
    title: words === 'inside' ? `${letter(at)} ${plot.title}` : letter(at),
    style: styles[at],
    plot: {
      ...pictured(plot, { words: 'caption' }),
      legend: plot.legend.filter((entry) => !shared.has(JSON.stringify(entry))),
      ramp: ramp ? undefined : plot.ramp,
      slider: undefined,
    },
  }))
  const [subject, ...notes] = notesOf(plots)
  return {
    ...wordsOf(plots),
    subject,
    notes,
    legend: [...shared.values()],
    ramp,
    arrangement: 'columns',
    panels: [],
    cells: { each, columns },
  }
}

const wordsOf = (plots: readonly Plot[]) => ({
  title: plots.map(({ title }, at) => `${letter(at)} ${title}`).join('; '),
  detail: plots.map(({ detail }, at) => `${letter(at)} ${detail}`).join(' '),
})

/** Entries that several legends have. */
function sharedEntries(plots: readonly Plot[]): Map<string, LegendEntry> {
  const counts = new Map<string, { entry: LegendEntry; count: number }>()
  for (const entry of plots.flatMap(({ legend }) => legend)) {
    const key = JSON.stringify(entry)
    counts.set(key, { entry, count: (counts.get(key)?.count ?? 0) + 1 })
  }
  return new Map([...counts].flatMap(([key, { entry, count }]) => (count > 1 ? [[key, entry]] : [])))
}

/** Subjects and notes, each once, with the letters of the figures that it is of unless it is of all. */
function notesOf(plots: readonly Plot[]): string[] {
  const of = new Map<string, number[]>()
  plots.forEach(({ subject, notes }, at) => {
    for (const note of [subject, ...notes]) of.set(note, [...(of.get(note) ?? []), at])
  })
  return [...of].map(([note, at]) =>
    at.length === plots.length ? note : `(${listed(at.map((one) => LETTERS[one]))}) ${note}`,
  )
}

function joined(all: readonly Columns[]): Columns {
  const rows = all.map((columns) => Object.values(columns)[0]?.length ?? 0)
  const names = new Set(all.flatMap((columns) => Object.keys(columns)))
  const column = (name: string) =>
    all.flatMap((own, at) => Array.from(own[name] ?? new Array<null>(rows[at]).fill(null)))
  return {
    panel: rows.flatMap((count, at) => new Array<string>(count).fill(LETTERS[at])),
    ...Object.fromEntries([...names].map((name) => [name, column(name)])),
  }
}
