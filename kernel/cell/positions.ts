/** Places in the JavaScript of a cell → places in the cell, through its source maps; read only when an error needs them. */
import { SourceMap } from 'node:module'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Maps, Position } from '../compiler/protocol.js'

const PREFIX_LINES = 1 // the converter puts `export {};` before each cell

/** `before`: the place is one of what the converter reads, not of the code as it runs. */
export type Find = (line: number, column: number, before?: boolean) => Position | undefined

export function positions({ outer, inner }: Maps, prefixLines = PREFIX_LINES): Find {
  // Those of all cells are kept as long as the session: packed, and out of the large buffer that zlib packs into.
  const packed = new Uint8Array(deflateRawSync(JSON.stringify([outer ?? null, inner ?? null])))
  let read: (SourceMap | undefined)[] | undefined
  return (line, column, before = false) => {
    if (before) return { line: line - prefixLines, column }
    read ??= (JSON.parse(inflateRawSync(packed).toString()) as (string | null)[]).map((text) =>
      text === null ? undefined : new SourceMap(JSON.parse(text) as never),
    )
    let at: Position | undefined = { line, column }
    for (const map of read) if (at && map) at = original(map, at)
    return at && { line: at.line - prefixLines, column: at.column }
  }
}

function original(map: SourceMap, { line, column }: Position): Position | undefined {
  const entry = map.findEntry(line, column) as Partial<{ originalLine: number; originalColumn: number }>
  return entry.originalLine === undefined ? undefined : { line: entry.originalLine, column: entry.originalColumn ?? 0 }
}
