/**
 * What heads were given and what their slots were worth, as lists beside the events: each on the row by which its token came to its head
 * (admitted, or gone at once), null on all other rows and where it was not recorded.
 */
import { ZslabError } from '../../errors.js'
import type { ScoreRows } from '../../inspect/scores.js'
import type { HeadVectors } from '../../inspect/vectors.js'
import type { EventColumns } from '../../native/binding.js'
import { counted, sizeText } from '../../show/texts.js'
import { ACTION } from '../actions.js'
import { rowsByHead } from '../rebuild.js'
import { headsOf, type HeadOf, type Recorded, type RecordedKind } from '../recorded.js'
import { Unreadable, type Lists } from './read.js'

/** float32 each; of one head at a time. */
export const LIST_COLUMNS = [
  { name: 'key', kind: 'vectors', about: '[headDim] of this token, rotated, as it came' },
  { name: 'value', kind: 'vectors', about: '[headDim] likewise' },
  {
    name: 'query',
    kind: 'vectors',
    about: "[group × headDim] of this token, the kv head's query heads one after another",
  },
  { name: 'output', kind: 'vectors', about: '[group × headDim] what attention gave to this token under the policy' },
  {
    name: 'slotScores',
    kind: 'scores',
    about: "of each slot that this token's query read, its own the last: the policy's score; NaN where it keeps none",
  },
  {
    name: 'slotProbabilities',
    kind: 'scores',
    about: 'of the same slots: the probability that the query gave, mean of the query heads',
  },
] as const satisfies readonly { name: string; kind: RecordedKind; about: string }[]
export type ListName = (typeof LIST_COLUMNS)[number]['name']

export interface LaidLists extends Lists {
  name: ListName
}

/** Bytes of lists that a file may hold; what Parquet is made of takes a multiple of it in memory on the way. */
const MOST_BYTES = { '.arrow': 1e9, '.parquet': 2e8 }

/** Columns that a file of `recorded` has. */
export const listColumnsOf = (recorded: Recorded) =>
  LIST_COLUMNS.filter(({ kind }) => headsOf(recorded[kind], recorded.kvHeads).length)

interface Given {
  readonly recorded: Recorded
  vectors(of: HeadOf): HeadVectors
  scoreRows(of: HeadOf): ScoreRows
}

/** Of a position, where its list lies. */
interface Piece {
  values: Float32Array
  at: number
  length: number
}

/** All that was recorded, on the rows of `events`. Errors: 'invalid' where that is more than a file holds, with the size. */
export function listsOf(events: EventColumns, of: Given, ending: keyof typeof MOST_BYTES): LaidLists[] {
  const { recorded } = of
  const columns = listColumnsOf(recorded)
  if (!columns.length) return []
  const rows = rowsByHead(events, recorded.layers, recorded.kvHeads)
  const pieces = new Map<ListName, { row: number; piece: Piece }[]>(columns.map(({ name }) => [name, []]))
  let bytes = 0
  for (const kind of ['vectors', 'scores'] as const) {
    const heads = headsOf(recorded[kind], recorded.kvHeads)
    heads.forEach((head, done) => {
      const found = kind === 'vectors' ? vectorPieces(of.vectors(head)) : scorePieces(of.scoreRows(head))
      const arrived = arrivals(events, rows[head.layer * recorded.kvHeads + head.kvHead])
      let own = 0
      for (const [name, each] of found)
        for (const [position, piece] of each) {
          own += 4 * piece.length
          const row = arrived.get(position)
          if (row === undefined) throw lost(head, position)
          pieces.get(name)!.push({ row, piece })
        }
      bytes += own
      // Heads are much alike: who saves need not wait for all of them to know.
      const all = bytes + own * (heads.length - done - 1)
      if (all > MOST_BYTES[ending]) throw tooLarge(kind, heads.length, all, ending)
    })
  }
  return columns.map(({ name }) => ({ name, ...laid(pieces.get(name)!, events.step.length) }))
}

const lost = ({ layer, kvHead }: HeadOf, position: number) =>
  new ZslabError(
    'internal',
    `the events of layer ${layer}, kv head ${kvHead} do not say how position ${position} came: this is a fault of zslab, please report it`,
  )

function tooLarge(kind: RecordedKind, heads: number, bytes: number, ending: keyof typeof MOST_BYTES): ZslabError {
  const instead = ending === '.parquet' ? ', save it as .arrow' : ''
  return new ZslabError(
    'invalid',
    `${kind} of ${counted(heads)} heads would make a file of ${sizeText(bytes)}, and ${ending} files hold ${sizeText(MOST_BYTES[ending])} of them at most: record fewer heads (layers, kvHeads)${kind === 'scores' ? ' or steps (every)' : ''}${instead}, or leave them out: save(path, { level: 'events' })`,
  )
}

function laid(pieces: readonly { row: number; piece: Piece }[], rows: number): Lists {
  const starts = new Int32Array(rows + 1)
  for (const { row, piece } of pieces) starts[row + 1] = piece.length
  for (let row = 0; row < rows; row++) starts[row + 1] += starts[row]
  const values = new Float32Array(starts[rows])
  for (const { row, piece } of pieces) values.set(piece.values.subarray(piece.at, piece.at + piece.length), starts[row])
  return { starts, values }
}

/** Rows by which positions came. */
function arrivals({ action, position, slot }: EventColumns, rows: Int32Array): Map<number, number> {
  const found = new Map<number, number>()
  for (const row of rows) {
    const gone = slot[row] < 0 && (action[row] === ACTION.merge || action[row] === ACTION.drop)
    if ((action[row] === ACTION.admit || gone) && !found.has(position[row])) found.set(position[row], row)
  }
  return found
}

function* vectorPieces(given: HeadVectors): Generator<[ListName, Generator<[number, Piece]>]> {
  const { headDim, group, firstQuery, firstOutput } = given
  function* each(values: Float32Array, length: number, first: number): Generator<[number, Piece]> {
    for (let at = 0; at < values.length; at += length) yield [first + at / length, { values, at, length }]
  }
  yield ['key', each(given.keys, headDim, 0)]
  yield ['value', each(given.values, headDim, 0)]
  yield ['query', each(given.queries, group * headDim, firstQuery)]
  yield ['output', each(given.outputs, group * headDim, firstOutput)]
}

function* scorePieces({ positions, starts, ...of }: ScoreRows): Generator<[ListName, Generator<[number, Piece]>]> {
  function* each(values: Float32Array): Generator<[number, Piece]> {
    for (const [i, position] of positions.entries())
      yield [position, { values, at: starts[i], length: starts[i + 1] - starts[i] }]
  }
  yield ['slotScores', each(of.scores)]
  yield ['slotProbabilities', each(of.probabilities)]
}

/** What a file says of the lists beside them. */
export interface ListFacts {
  /** [headDim], and query heads of a kv head. */
  headDim: number
  group: number
  promptTokens: number
  /** [first, last position] of calls of several tokens whose last has a row of scores. */
  calls: readonly (readonly [number, number])[]
}

/** Of `of`, all heads of which are alike in this. */
export function listFacts({ recorded, ...of }: Given, promptTokens: number): ListFacts {
  const [vectors] = headsOf(recorded.vectors, recorded.kvHeads)
  const [scores] = headsOf(recorded.scores, recorded.kvHeads)
  const { headDim, group } = vectors ? of.vectors(vectors) : { headDim: 0, group: 0 }
  const rows = scores && of.scoreRows(scores)
  const calls = rows ? Array.from(rows.first, (first, i) => [first, rows.positions[i]] as const) : []
  return { headDim, group, promptTokens, calls: calls.filter(([first, last]) => last > first) }
}

type ListsBy = (name: ListName) => Lists

/** A head's vectors again. Throws Unreadable where a token's key or value is missing. */
export function vectorsIn(
  events: EventColumns,
  rows: Int32Array,
  of: HeadOf,
  lists: ListsBy,
  facts: ListFacts,
): HeadVectors {
  const { headDim, group } = facts
  const arrived = arrivals(events, rows)
  const tokens = arrived.size
  const read = (name: ListName, width: number) => {
    const { starts, values } = lists(name)
    const there = Array.from(arrived).filter(([, row]) => starts[row + 1] > starts[row])
    const first = there.reduce((least, [position]) => Math.min(least, position), tokens)
    const made = new Float32Array((tokens - first) * width)
    for (const [position, row] of there)
      made.set(values.subarray(starts[row], starts[row + 1]), (position - first) * width)
    if (there.length !== tokens - first)
      throw new Unreadable(`has no ${name} of some tokens of layer ${of.layer}, kv head ${of.kvHead}`)
    return { first, made }
  }
  const [key, value] = [read('key', headDim), read('value', headDim)]
  const [query, output] = [read('query', group * headDim), read('output', group * headDim)]
  return {
    ...of,
    group,
    headDim,
    keys: key.made,
    values: value.made,
    firstQuery: query.first,
    queries: query.made,
    firstOutput: output.first,
    outputs: output.made,
  }
}

/** A head's scores again. */
export function scoreRowsIn(events: EventColumns, rows: Int32Array, lists: ListsBy, facts: ListFacts): ScoreRows {
  const [scores, probabilities] = [lists('slotScores'), lists('slotProbabilities')]
  const there = Array.from(arrivals(events, rows))
    .filter(([, row]) => scores.starts[row + 1] > scores.starts[row])
    .sort(([a], [b]) => a - b)
  const firsts = new Map(facts.calls.map(([first, last]) => [last, first]))
  const starts = new Float64Array(there.length + 1)
  there.forEach(([, row], i) => (starts[i + 1] = starts[i] + scores.starts[row + 1] - scores.starts[row]))
  const joined = (of: Lists) => {
    const made = new Float32Array(starts[there.length])
    there.forEach(([, row], i) => made.set(of.values.subarray(of.starts[row], of.starts[row + 1]), starts[i]))
    return made
  }
  const positions = Int32Array.from(there, ([position]) => position)
  return {
    steps: positions.map((position) => Math.max(0, position - facts.promptTokens + 1)),
    first: positions.map((position) => firsts.get(position) ?? position),
    positions,
    starts,
    scores: joined(scores),
    probabilities: joined(probabilities),
  }
}
