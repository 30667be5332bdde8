/// <reference path="language.d.ts" />

/** The names that every cell knows beside Node's own; a cell may declare its own instead. */

interface CellDisplay {
  /** Shows `value` as a cell's last expression would be shown. Resolves to the id for `display.update`. */
  (value: unknown): Promise<string>
  /** Shows `value` in place of what the display with this id showed. */
  update(id: string, value: unknown): Promise<void>
  html(text: string): string
  markdown(text: string): string
  /** LaTeX, with its dollar signs. */
  latex(text: string): string
  svg(text: string): string
  png(bytes: Uint8Array): string
  jpeg(bytes: Uint8Array): string
  /** A table: a list, map or object of rows, which are objects, lists or single values. */
  table(rows: object): string
  /** Any MIME bundle: JSON types as objects, binary types as bytes. */
  bundle(data: Record<string, unknown>, metadata?: Record<string, unknown>): string
}

interface ProgressOptions {
  /** What is done, in front of the bar. */
  label?: string
  /** How many steps there are; found out where it can be (arrays, sets, maps). */
  total?: number
}

interface ProgressBar {
  /** `steps` more are done (default 1). */
  step(steps?: number): void
  /** The bar becomes one static line. */
  end(): void
}

interface CellProgress {
  <T>(items: Iterable<T>, options?: ProgressOptions): Generator<T, void, undefined>
  <T>(items: AsyncIterable<T>, options?: ProgressOptions): AsyncGenerator<T, void, undefined>
  bar(options?: ProgressOptions): ProgressBar
}

declare var display: CellDisplay
/** Clears the cell's output; `wait`: only when the next output comes. */
declare function clearOutput(options?: { wait?: boolean }): void
/** A bar beside a loop: `for (const x of progress(items)) …`. */
declare var progress: CellProgress
/** Asks the user for a line of text. Rejects where the front end cannot ask. */
declare function input(prompt?: string, options?: { password?: boolean }): Promise<string>
