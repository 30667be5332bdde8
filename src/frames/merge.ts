/** Frames put together: merge by keys that stay apart, concat that leaves its frames alone. */
import { createRequire } from 'node:module'
import { invalid, oneOf } from '../expect.js'
import { compared, keyOf, missing, type Cell } from './cells.js'
import { transposed, type Column, type Makers, type Table } from './parts.js'

const requireHere = createRequire(import.meta.url)

interface Merging {
  left: Table
  right: Table
  on: string[]
  how?: 'inner' | 'left' | 'right' | 'outer'
}

interface Keyed {
  keys: Cell[]
  rest: Cell[]
}

/** danfojs hands these two out through getters, which ask its inner module. */
export function mendMerge({ table, column, isTable, isColumn }: Makers): void {
  const inner = requireHere('danfojs-node/dist/danfojs-base') as Record<'merge' | 'concat', unknown>
  inner.merge = ({ left, right, on, how = 'inner' }: Merging) => {
    for (const [name, side] of Object.entries({ left, right })) if (!isTable(side)) throw invalid(name, 'a frame', side)
    oneOf('how', how, ['inner', 'left', 'right', 'outer'])
    if (!Array.isArray(on) || !on.length) throw invalid('on', 'an array of column names', on)
    for (const name of on)
      if (!left.columns.includes(name) || !right.columns.includes(name))
        throw invalid('on', 'columns that both frames have', name)
    return table(merged(split(left, on), split(right, on), how, [rest(left, on), rest(right, on)]), {
      columns: namesOf([...on, ...rest(left, on), ...rest(right, on)]),
    })
  }

  inner.concat = ({ dfList, axis }: { dfList: (Table | Column)[]; axis: 0 | 1 }) => {
    if (!Array.isArray(dfList) || !dfList.length) throw invalid('dfList', 'an array of frames and series', dfList)
    const parts = dfList.map((part) => {
      if (isTable(part)) return { names: part.columns, rows: part.values }
      if (isColumn(part)) return { names: part.columns, rows: part.values.map((cell) => [cell]) }
      throw invalid('dfList', 'frames and series', part)
    })
    if (Number(oneOf('axis', String(axis), ['0', '1'])) === 1) {
      const rows = Math.max(...parts.map((part) => part.rows.length))
      return table(
        Array.from({ length: rows }, (_, at) => parts.flatMap(({ names, rows }) => rows[at] ?? names.map(() => NaN))),
        {
          columns: namesOf(
            parts.flatMap(({ names }) => names),
            '',
          ),
        },
      )
    }
    const columns = [...new Set(parts.flatMap(({ names }) => names))]
    const all = parts.flatMap(({ names, rows }) => {
      const places = columns.map((name) => names.indexOf(name))
      return rows.map((row) => places.map((at) => (at < 0 ? NaN : row[at])))
    })
    return columns.length === 1 && dfList.every(isColumn)
      ? column(transposed(all)[0] ?? [], { columns })
      : table(all, { columns })
  }
}

function byKey(list: Keyed[]): Map<string, Keyed[]> {
  const found = new Map<string, Keyed[]>()
  for (const one of list) {
    const key = keyOf(one.keys)
    const same = found.get(key)
    if (same) same.push(one)
    else found.set(key, [one])
  }
  return found
}

const rest = (side: Table, on: string[]) => side.columns.filter((name) => !on.includes(name))

function split(side: Table, on: string[]): Keyed[] {
  const [keys, others] = [on, rest(side, on)].map((names) => names.map((name) => side.columns.indexOf(name)))
  return side.values.map((row) => ({ keys: keys.map((at) => row[at]), rest: others.map((at) => row[at]) }))
}

/** Rows in the order of the left keys (right: of the right ones; outer: of the keys themselves). Missing keys match each other. */
function merged(left: Keyed[], right: Keyed[], how: string, [ofLeft, ofRight]: string[][]): Cell[][] {
  const pairs: [Keyed | undefined, Keyed | undefined][] = []
  const [lefts, rights] = [byKey(left), byKey(right)]
  if (how === 'right') {
    for (const one of right) for (const other of lefts.get(keyOf(one.keys)) ?? [undefined]) pairs.push([other, one])
  } else {
    const alone = how === 'inner' ? [] : [undefined]
    for (const one of left) for (const other of rights.get(keyOf(one.keys)) ?? alone) pairs.push([one, other])
    if (how === 'outer') {
      for (const one of right) if (!lefts.has(keyOf(one.keys))) pairs.push([undefined, one])
      pairs.sort(([a, b], [c, d]) => inOrder((a ?? b)!.keys, (c ?? d)!.keys))
    }
  }
  return pairs.map(([one, other]) => [
    ...(one ?? other)!.keys,
    ...(one?.rest ?? ofLeft.map(() => NaN)),
    ...(other?.rest ?? ofRight.map(() => NaN)),
  ])
}

export function inOrder(a: readonly Cell[], b: readonly Cell[]): number {
  for (let at = 0; at < a.length; at++) {
    const order = Number(missing(a[at])) - Number(missing(b[at])) || (missing(a[at]) ? 0 : compared(a[at], b[at]))
    if (order) return order
  }
  return 0
}

/** A second column of a name gets a number behind it, as danfojs names them, and never a name that is taken. */
function namesOf(names: string[], between = '_'): string[] {
  const taken = new Set(names)
  const seen = new Set<string>()
  return names.map((name) => {
    let found = name
    for (let n = 1; seen.has(found) || (found !== name && taken.has(found)); n++) found = `${name}${between}${n}`
    seen.add(found)
    return found
  })
}
