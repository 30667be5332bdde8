/** Places in the JavaScript of a cell → places in the cell, through its source maps; read only when an error needs them. */
import { SourceMap } from 'node:module'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Maps, Position } from '../compiler/protocol.js'

const PACK_MS = 1000
const PREFIX_LINES = 1 // the converter puts `export {};` before each cell

/** `before`: the place is one of what the converter reads, not of the code as it runs. */
export type Find = (line: number, column: number, before?: boolean) => Position | undefined

export function positions({ outer, inner, edits }: Maps, prefixLines = PREFIX_LINES): Find {
  if (edits)
    return (line, column, before) => ({
      line: line - prefixLines,
      column: before ? column : columnBefore(edits, line, column),
    })
  let kept: string | Uint8Array = JSON.stringify([outer ?? null, inner ?? null])
  let read: (SourceMap | undefined)[] | undefined
  // Those of all cells are kept as long as the session: packed, but not while somebody waits for the cell.
  setTimeout(() => (kept = packed(kept as string)), PACK_MS).unref()
  return (line, column, before = false) => {
    if (before) return { line: line - prefixLines, column }
    read ??= (JSON.parse(unpacked(kept)) as (string | null)[]).map((text) =>
      text === null ? undefined : new SourceMap(JSON.parse(text) as never),
    )
    let at: Position | undefined = { line, column }
    for (const map of read) if (at && map) at = original(map, at)
    return at && { line: at.line - prefixLines, column: at.column }
  }
}

/** In the line as it was before `edits`. */
function columnBefore(edits: readonly number[], line: number, column: number): number {
  let moved = 0
  for (let i = 0; i < edits.length && edits[i] <= line; i += 4) {
    const [at, start, removed, added] = edits.slice(i, i + 4)
    if (at < line) continue
    if (column < start + moved) break
    if (column < start + moved + added) return start
    moved += added - removed
  }
  return column - moved
}

/** Copied out of the large buffer that zlib packs into. */
function packed(text: string): Uint8Array {
  return new Uint8Array(deflateRawSync(text))
}

function unpacked(kept: string | Uint8Array): string {
  return typeof kept === 'string' ? kept : inflateRawSync(kept).toString()
}

function original(map: SourceMap, { line, column }: Position): Position | undefined {
  const entry = map.findEntry(line, column) as Partial<{ originalLine: number; originalColumn: number }>
  return entry.originalLine === undefined ? undefined : { line: entry.originalLine, column: entry.originalColumn ?? 0 }
}
