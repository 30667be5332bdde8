/** What the trace explorer is shown from: one JSON document that a notebook keeps, made by explore() and drawn in the page. Knows nobody. */

/** In a cell's output; the lab extension draws it. */
export const EXPLORER_MIME = 'application/vnd.zslab.explorer.v1+json'

/** Bytes, deflated (raw), base64. */
export type Packed = string

/** Slots of a kv head by region; budget 0: unbounded. */
export interface ExplorerSizes {
  budget: number
  recent: number
  residual: number
  sink: number
}

export interface ExplorerRun {
  label: string
  model: string
  policyName: string
  layers: number
  kvHeads: number
  promptTokens: number
  /** The last step; 0: nothing after the prompt. */
  lastStep: number
  /** One for all kv heads, or one for each: [layer * kvHeads + kvHead]. */
  sizes: ExplorerSizes[]
  tokens: {
    count: number
    /** Those at positions below this were read, the others generated. */
    read: number
    /** Each text once, and the number of its text for every position: varints of differences. */
    words: string[]
    numbers: Packed
  }
  receipt?: { ok: boolean; notes: string[] }
  /**
   * Every kv head as a small picture: [layer * kvHeads + kvHead][row][column], uint8. Rows are steps 0 … lastStep, columns positions, both in
   * equal parts; 0 … 254 is the share of a column's tokens that have a slot of their own at the row's last step, 255: none has come yet.
   */
  small: { rows: number; columns: number; values: Packed }
  /** Events of kv heads by 'layer.kvHead' (src/explorer/events.ts): those that fit. */
  heads: Record<string, Packed>
}

/** Measures of the model's query heads: what the small pictures can be coloured by, and passports. */
export interface ExplorerMeasures {
  /** Query heads of a layer. */
  heads: number
  measures: {
    name: string
    unit: string
    /** How values of query heads become one of their kv head; own: it is one of the kv head, repeated. */
    kv: 'max' | 'mean' | 'own'
    /** [layer * heads + head]; null: not measured. */
    values: (number | null)[]
  }[]
}

export interface ExplorerData {
  format: 'zslab.explorer'
  version: 1
  /** By which a kernel that still has the runs knows them. */
  id: string
  chosen: { layer: number; kvHead: number }
  /** None: a session that has read nothing yet. */
  runs: ExplorerRun[]
  measured?: ExplorerMeasures
  /** It shows a session: a page that finds it in a kernel goes on with what the session does. */
  live?: boolean
}

/** What a kernel sends to a page that follows a session. */
export interface LiveMessage {
  live: ExplorerData
  /** The session is at rest, and this is the whole output as explore(session) makes it now. */
  bundle?: Record<string, unknown>
}

export const headKey = (layer: number, kvHead: number) => `${layer}.${kvHead}`

/** Why `given` is no document that this code can draw; undefined: it is one. */
export function unfit(given: unknown): string | undefined {
  const data = given as Partial<ExplorerData> | null | undefined
  if (
    typeof data !== 'object' ||
    data?.format !== 'zslab.explorer' ||
    !Array.isArray(data.runs) ||
    !(data.runs.length || data.live)
  )
    return 'This output is no trace: expected what explore(run) makes.'
  if (data.version !== 1)
    return `This output is of version ${String(data.version)} of the explorer, and this is version 1: run the cell again, or update the extension (npx zslab install).`
  return undefined
}
