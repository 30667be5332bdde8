/** Lines of progress bars that are shown below each other: in columns, each as wide as its widest text. */
import type { Host } from './host.js'
import type { Bundle } from './protocol.js'
import { escaped } from './tables.js'

/** Front ends redraw whole outputs: more often would cost more than the work. */
const EVERY_MS = 100
const WIDTH = 30
/** Without the gaps that JupyterLab leaves around HTML. */
const LINE =
  'margin: 0; white-space: pre; font: var(--jp-code-font-size, 13px)/1.3 var(--jp-code-font-family, monospace)'
/** Signs that take two places. */
const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/gu

export interface Row {
  label: string
  /** From 0 to 1, where a bar is drawn. */
  share?: number
  count: string
  /** The most places that `count` will take. */
  room?: number
  rest: string
}

export class Lines {
  private readonly all: Line[] = []
  private label = 0
  private count = 0
  private bar = false

  constructor(private readonly host: Host) {}

  add(row: Row): Line {
    this.fit(row)
    const line = new Line(this.host, this, row)
    this.all.push(line)
    return line
  }

  /** Makes room for `row`; the other lines move with it. */
  fit(row: Row): void {
    if (this.measure(row)) for (const line of this.all) line.finish()
  }

  /** The bars of those that are done make way; the columns are no wider than they must be. */
  settle(): void {
    for (const line of this.all) if (!line.taken) line.row.share = line.row.room = undefined
    this.label = this.count = 0
    this.bar = false
    for (const { row } of this.all) this.measure(row)
    for (const line of this.all) line.finish()
  }

  /** Whether a column became wider. */
  private measure(row: Row): boolean {
    const [label, count, bar] = [this.label, this.count, this.bar]
    this.label = Math.max(label, places(row.label))
    this.count = Math.max(count, row.room ?? 0, row.count.length)
    this.bar ||= row.share !== undefined
    return label !== this.label || count !== this.count || bar !== this.bar
  }

  bundle({ label, share, count, rest }: Row): Bundle {
    const named = label + ' '.repeat(this.label - places(label))
    const counted = count.padStart(this.count)
    const full = Math.round((share ?? 0) * WIDTH)
    const drawn = share === undefined ? ' '.repeat(WIDTH) : '█'.repeat(full) + '░'.repeat(WIDTH - full)
    const style = `width: ${WIDTH}ch; vertical-align: middle`
    const bar =
      share === undefined ? box(WIDTH, '') : `<progress value="${share.toFixed(3)}" style="${style}"></progress>`
    const columns = (named: string, bar: string, count: string, rest: string) =>
      [...(this.label ? [named] : []), ...(this.bar ? [bar] : []), count, rest].join(' ').trimEnd()
    const boxes = columns(box(this.label, label), bar, box(this.count, count, '; text-align: right'), escaped(rest))
    return { 'text/plain': columns(named, drawn, counted, rest), 'text/html': `<div style="${LINE}">${boxes}</div>` }
  }
}

function box(width: number, text: string, style = ''): string {
  return `<span style="display: inline-block; width: ${width}ch${style}">${escaped(text)}</span>`
}

/** One of them; it changes at most ten times a second. */
export class Line {
  /** A bar uses it. */
  taken = true
  private readonly id: string
  private drawn = performance.now()
  private last: unknown

  constructor(
    private readonly host: Host,
    private readonly lines: Lines,
    public row: Row,
  ) {
    const bundle = lines.bundle(row)
    this.last = bundle['text/html']
    this.id = host.display(bundle)
  }

  get due(): boolean {
    return performance.now() - this.drawn >= EVERY_MS
  }

  /** Draws `row` if that is due; else a later one, or `finish`, takes care of it. */
  draw(row: Row): void {
    this.row = row
    this.lines.fit(row)
    if (this.due) this.finish()
  }

  finish(): void {
    const bundle = this.lines.bundle(this.row)
    if (bundle['text/html'] === this.last) return
    this.drawn = performance.now()
    this.last = bundle['text/html']
    this.host.update(this.id, bundle)
  }
}

function places(text: string): number {
  const seen = text.replace(/\p{M}/gu, '')
  return [...seen].length + (seen.match(WIDE)?.length ?? 0)
}
