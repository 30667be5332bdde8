/** A figure: one picture as plotly JSON, as SVG, as a sentence and as the numbers behind it; shows itself in notebooks. */
import { randomUUID } from 'node:crypto'
import { dirname, extname, resolve } from 'node:path'
import type { DataFrame } from 'danfojs-node'
import { remember } from '../comm/answer.js'
import { invalid, options as checked, text } from '../expect.js'
import { frame, type Columns } from '../frames.js'
import type { FigureCard } from '../recipe/card.js'
import { madeBy } from '../recipe/recipe.js'
import { showsItself } from '../show/show.js'
import { replaceFile } from '../trace/files/replace.js'
import { figureCard, figureRecipe, type FigureCall } from './card.js'
import { FILE_TYPES, FILES, type FileType } from './export/files.js'
import { metadataOf } from './export/metadata.js'
import { drawSvg } from './export/svg.js'
import { latexOf, type LatexOptions } from './latex.js'
import { partOf, type Part } from './part.js'
import { captionOf } from './pictured.js'
import type { Plot } from './plot.js'
import type { PlotlyFigure } from './plotly.js'
import { lackingIn, lackingWords, speltPlot } from './spelt.js'
import { STYLE_OPTIONS, styleOf, styleOptions, type Style, type StyleOptions } from './style.js'
import { plotlyPicture } from './plotly-grid.js'
import { stillWords, zooming } from './zoom.js'

export interface Made {
  /** What was called to make it: goes into its card. */
  call: FigureCall
  /** One or two sentences with the picture's numbers. */
  summary: string
  /** What a caption is drafted from where that is not the summary. */
  caption?: string
  /** The numbers, tidy: one row per observation. Called once, when somebody asks: of long runs they take longer than the picture. */
  columns: () => Columns
  /** Called once per size and theme; of a part whenever somebody looks at another one. */
  plot: (style: Style, part?: Part) => Plot
  /** Of what parts can be drawn: long figures, which draw many together when they draw all. */
  whole?: Part
}

export class Figure {
  private plots = new Map<string, Plot>()
  private numbers: { columns?: Columns } = {}
  private readonly id = randomUUID()

  /** @internal */
  constructor(
    private readonly made: Made,
    private readonly chosen: StyleOptions,
    /** What of it is drawn, where that is a part. */
    private readonly shown?: Part,
  ) {
    madeBy(this, () => figureRecipe(this.carded))
  }

  private get carded() {
    return { call: this.made.call, part: this.shown }
  }

  /**
   * What it shows, of what, and how that was made, with everything that it takes to make it again; goes into its files, from which `npx zslab
   * rerun FILE` reads it. What cannot be made again is named in `missing`: policies of your own, plain data.
   */
  get card(): FigureCard {
    return this.cardIn(process.cwd())
  }

  private cardIn(folder: string): FigureCard {
    return figureCard(this.carded, this.columns, this.chosen, folder)
  }

  /** What the picture shows, in words and numbers; and which characters of it are written as codes where only our fonts are at hand. */
  get summary(): string {
    return `${this.made.summary}${lackingWords(this.lacking)}`
  }

  /** The numbers as a danfojs frame, one row per observation. Errors: 'unsupported' without danfojs. */
  get data(): DataFrame {
    return frame(this.columns)
  }

  /** The numbers as plain columns of one length. */
  get columns(): Columns {
    return (this.numbers.columns ??= this.made.columns())
  }

  /** The same figure in another size, theme or width, or with its words elsewhere; what is not given stays, but a new size forgets the width, and a new width the size. */
  with(options: StyleOptions): Figure {
    const given = styleOptions('figure.with', options, [])
    const merged = { ...this.chosen }
    for (const name of STYLE_OPTIONS) if (given[name] !== undefined) Object.assign(merged, { [name]: given[name] })
    if (given.size !== undefined && given.width === undefined) merged.width = undefined
    if (given.width !== undefined && given.size === undefined) merged.size = undefined
    styleOf(merged)
    const other = new Figure(this.made, merged, this.shown)
    Object.assign(other, { plots: this.plots, numbers: this.numbers })
    return other
  }

  /**
   * The same figure of a part of what it shows, finer the smaller: `figure.part({ position: [1200, 1300] })`. Strips and differences have
   * positions; eviction maps positions (or slots) and steps, where 0 is the prompt; survival has ages. [from, to]: to is the one after the last;
   * what is left out is whole. Words and `data` stay those of the whole.
   * Errors: 'invalid' for a figure that has no parts or not these, and for anything but whole numbers inside of it.
   */
  part(part: Part): Figure {
    const chosen = partOf(this.made.whole ?? {}, part)
    const { plot } = this.made
    const drawn = { ...this.made, plot: (style: Style, inner = chosen) => plot(style, inner) }
    const other = new Figure(drawn, this.chosen, chosen)
    return Object.assign(other, { numbers: this.numbers })
  }

  get style(): Style {
    return styleOf(this.chosen)
  }

  /** @internal */
  get plot(): Plot {
    return this.plotIn(this.style)
  }

  /** In any style: of another picture that it is part of. @internal */
  plotIn(style: Style): Plot {
    const key = JSON.stringify(style)
    let plot = this.plots.get(key)
    if (!plot) this.plots.set(key, (plot = this.made.plot(style)))
    return plot
  }

  /** @internal */
  get isPanel(): boolean {
    return this.made.call[0] === 'panel'
  }

  private get lacking(): string[] {
    return lackingIn(this.plot, this.style)
  }

  /** @internal In characters that our fonts have. */
  get spelt(): Plot {
    if (!this.lacking.length) return this.plot
    return speltPlot(this.plotIn({ ...this.style, spelt: true }))
  }

  /** A self-contained SVG document: no script, no font, no link. The same bytes every time. */
  get svg(): string {
    return drawSvg(this.plot, this.style).svg
  }

  /** { data, layout, config } for plotly.js 3 (application/vnd.plotly.v1+json). */
  get plotly(): PlotlyFigure {
    return plotlyPicture(this.plot, this.style)
  }

  /** The bytes of a PDF as wide as the figure: vectors and text, the fonts embedded. The same bytes every time. */
  pdf(): Promise<Uint8Array> {
    return FILES['.pdf'](this, metadataOf(this.plot, this.card))
  }

  /** The bytes of a PNG as wide as the figure, 300 dots to the inch. */
  async png(): Promise<Uint8Array> {
    return FILES['.png'](this, metadataOf(this.plot, this.card))
  }

  /**
   * Writes the figure by the path's ending: .svg, .pdf (vectors, fonts embedded), .png (300 dots to the inch), .html (a page that works offline),
   * .json (plotly), all with its card, or .csv (the numbers). Options: size, theme, width, words as in with(). Returns the path.
   * Errors: 'invalid' for another ending, 'file' where it cannot be written.
   */
  async save(path: string, options: StyleOptions = {}): Promise<string> {
    text('path', path)
    checked('figure.save', options, STYLE_OPTIONS)
    const ending = extname(path).toLowerCase() as FileType
    if (!FILE_TYPES.includes(ending)) throw invalid('path', `a name ending in ${FILE_TYPES.join(', ')}`, path)
    const figure = this.with(options)
    const content = await FILES[ending](figure, metadataOf(figure.plot, figure.cardIn(dirname(resolve(path)))))
    await replaceFile(path, 'the figure', [content])
    return path
  }

  /**
   * LaTeX for a paper: a figure environment (figure* from 6 in on) with the file at this figure's width, a caption draft made of its summary
   * (and with `words: 'caption'` of its notes), and a label. What TeX would read as something else is escaped. Errors: 'invalid' for a file that is no .pdf or .png, and for names that TeX cannot read.
   */
  latex(options: LatexOptions): string {
    const said = `${this.made.caption ?? this.made.summary}${lackingWords(this.lacking)}`
    return latexOf(captionOf(said, this.plot, this.style), this.style.width / 96, options)
  }

  /** What a page is sent that looks at `given`. */
  private tile(whole: Part, given: unknown): PlotlyFigure {
    const part = partOf(whole, given)
    const plot = this.made.plot(this.style, part)
    return zooming(plotlyPicture(plot, this.style), plot, { id: this.id, whole, part })
  }

  [Symbol.for('Jupyter.display')](): Record<string, unknown> {
    const { plot, style, summary } = this
    const { whole } = this.made
    if (!whole || !plot.coarse)
      return { 'application/vnd.plotly.v1+json': this.plotly, 'image/svg+xml': this.svg, 'text/plain': summary }
    remember('figure', this.id, {
      opened: () => ({ answer: ({ part }) => ({ figure: this.tile(whole, part) }) }),
    })
    // The picture is the one that save() writes: in print nothing can be zoomed into.
    const shown = { ...plot, notes: [...plot.notes, stillWords(whole)] }
    const plotly = zooming(plotlyPicture(shown, style), plot, { id: this.id, whole, part: whole })
    return { 'application/vnd.plotly.v1+json': plotly, 'image/svg+xml': this.svg, 'text/plain': summary }
  }
}

showsItself(Figure.prototype, (figure) => figure.summary)
