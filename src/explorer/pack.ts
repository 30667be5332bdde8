/** Traces as the document that the explorer shows. */
import { deflateRawSync } from 'node:zlib'
import type { Sizes } from '../figures/data.js'
import type { RunData } from '../trace/data.js'
import type { Trace } from '../trace/events.js'
import { HeadRows } from '../trace/head-rows.js'
import { headKey, type ExplorerData, type ExplorerRun, type ExplorerSizes, type Packed } from './data.js'
import { eventBytes, varints } from './events.js'
import { smallOf } from './small.js'

export interface Shown {
  label: string
  trace: Trace
}

const packed = (bytes: Uint8Array): Packed => deflateRawSync(bytes, { level: 6 }).toString('base64')

/** One run whose heads can be had one by one. */
export class RunPack {
  private readonly data: RunData
  private rows: HeadRows | undefined

  constructor(private readonly shown: Shown) {
    this.data = shown.trace.data()
  }

  /** Keys of all heads: the chosen one, the others of its layer, then all in order. */
  keys(chosen: { layer: number; kvHead: number }): string[] {
    const { layers, kvHeads } = this.data
    const of = (layer: number) => Array.from({ length: kvHeads }, (_, kvHead) => headKey(layer, kvHead))
    const all = Array.from({ length: layers }, (_, layer) => of(layer))
    return [...new Set([headKey(chosen.layer, chosen.kvHead), ...all[chosen.layer], ...all.flat()])]
  }

  /** Errors: 'invalid' where the run kept no events. */
  head(key: string): Packed | undefined {
    const { layers, kvHeads } = this.data
    const columns = this.shown.trace.tape()
    const [layer, kvHead] = key.split('.').map(Number)
    if (!(layer < layers && kvHead < kvHeads)) return undefined
    return packed(eventBytes(columns, this.index.of(layer * kvHeads + kvHead)))
  }

  private get index(): HeadRows {
    const { layers, kvHeads } = this.data
    return (this.rows ??= new HeadRows(this.shown.trace.tape(), kvHeads, layers * kvHeads))
  }

  /** Everything but heads. */
  run(): ExplorerRun {
    const { shown, data } = this
    const { layers, kvHeads, tokens, resolved } = data
    const lastStep = Math.max(0, data.steps, shown.trace.lastStep)
    const small = smallOf(shown.trace.tape(), this.index, layers * kvHeads, tokens.length, lastStep)
    const receipt = shown.trace.receipt
    return {
      label: shown.label,
      model: data.model,
      policyName: data.policyName,
      layers,
      kvHeads,
      promptTokens: data.promptTokens,
      lastStep,
      sizes: (resolved.heads?.flat() ?? [resolved]).map(sizesOf),
      tokens: { count: tokens.length, read: tokens.filter(({ prompt }) => prompt).length, ...wordsOf(tokens) },
      receipt: receipt && { ok: receipt.ok, notes: [...receipt.notes] },
      small: { ...small, values: packed(small.values) },
      heads: {},
    }
  }
}

const sizesOf = ({ budget, recent, residual, sink }: Sizes): ExplorerSizes => ({ budget, recent, residual, sink })

function wordsOf(tokens: RunData['tokens']): { words: string[]; numbers: Packed } {
  const known = new Map<string, number>()
  const numbers = tokens.map(({ text }) => {
    if (!known.has(text)) known.set(text, known.size)
    return known.get(text)!
  })
  return { words: [...known.keys()], numbers: packed(varints(numbers.length, (i) => numbers[i])) }
}

export type DocumentFacts = Pick<ExplorerData, 'id' | 'chosen' | 'measured' | 'live'>

/** The document of these runs without their heads. */
export const documentOf = (packs: readonly RunPack[], { id, chosen, measured, live }: DocumentFacts): ExplorerData => ({
  format: 'zslab.explorer',
  version: 1,
  id,
  chosen,
  runs: packs.map((pack) => pack.run()),
  ...(measured ? { measured } : {}),
  ...(live ? { live } : {}),
})

/** The document in at most `limit` bytes of JSON, with as many heads as have room, the chosen ones first. */
export function packedRuns(packs: readonly RunPack[], of: DocumentFacts, limit: number): ExplorerData {
  const data = documentOf(packs, of)
  let room = limit - Buffer.byteLength(JSON.stringify(data))
  const queues = packs.map((pack) => pack.keys(of.chosen))
  for (let at = 0; at < Math.max(...queues.map(({ length }) => length)); at++)
    for (const [which, keys] of queues.entries()) {
      if (at >= keys.length) continue
      const head = packs[which].head(keys[at])!
      room -= head.length + keys[at].length + 6
      // The next ones are as long: no use in making all of them.
      if (room < 0) return data
      data.runs[which].heads[keys[at]] = head
    }
  return data
}
