/** Changes within the lines of a text, and how they are noted for whoever must find places of the result in it. */
import type * as tsTypes from 'typescript'

/** In place of `removed` characters at `at` stands `text`; neither holds the end of a line. */
export interface Edit {
  at: number
  removed: number
  text: string
}

/** `text` with `edits`, which are in order. */
export function edited(text: string, edits: readonly Edit[]): string {
  let at = 0
  const pieces = edits.map((edit) => {
    const before = text.slice(at, edit.at)
    at = edit.at + edit.removed
    return before + edit.text
  })
  return pieces.join('') + text.slice(at)
}

/** Of each edit: line, column, removed and added characters, one after another. */
export function noted(file: tsTypes.SourceFile, edits: readonly Edit[]): number[] {
  const starts = file.getLineStarts()
  let line = 0
  return edits.flatMap(({ at, removed, text }) => {
    while (starts[line + 1] <= at) line++
    return [line, at - starts[line], removed, text.length]
  })
}
