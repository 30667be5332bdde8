/** `generate --dump`: the cache's state as a safetensors file, all float32 or int32. */
import type { Run, Session } from '../session.js'
import { replaceFile } from '../trace/files/replace.js'

export interface Tensor {
  shape: number[]
  data: Float32Array | Int32Array
}

/**
 * layers.N.heads [kvHeads + 1]: where each kv head's slots begin; .keys, .values [slots of all heads, headDim], .weights, .scores
 * [slots of all heads], .origins.offsets [slots of all heads + 1], .origins.positions; tokens; events [n, 6]: step, layer, kvHead, victim slot, target slot, position that leaves (decode only).
 */
export function tensorsOf(session: Session, run: Run): Map<string, Tensor> {
  const { layers, headDim } = session.model.description
  const tensors = new Map<string, Tensor>()
  for (let layer = 0; layer < layers; layer++) {
    const { heads, slots, keys, values, weights, scores, originOffsets, originPositions } = session.cache.raw(layer)
    const starts = Int32Array.of(0, ...heads.map((head) => head.slots))
    for (let head = 1; head < starts.length; head++) starts[head] += starts[head - 1]
    const put = (name: string, shape: number[], data: Tensor['data']) =>
      tensors.set(`layers.${layer}.${name}`, { shape, data })
    put('heads', [starts.length], starts)
    put('keys', [slots, headDim], keys)
    put('values', [slots, headDim], values)
    put('weights', [slots], weights)
    put('scores', [slots], scores)
    put('origins.offsets', [slots + 1], originOffsets)
    put('origins.positions', [originPositions.length], originPositions)
  }
  tensors.set('tokens', { shape: [run.tokens.length], data: Int32Array.from(run.tokens) })
  const events = decodeEvents(run)
  tensors.set('events', { shape: [events.length / 6, 6], data: events })
  return tensors
}

const [MERGE, DROP] = [2, 3]

function decodeEvents(run: Run): Int32Array {
  const c = run.trace.tape()
  const rows: number[] = []
  for (let i = 0; i < c.step.length; i++)
    if (c.step[i] > 0 && (c.action[i] === MERGE || c.action[i] === DROP))
      rows.push(c.step[i], c.layer[i], c.kvHead[i], c.slot[i], c.action[i] === DROP ? -1 : c.target[i], c.position[i])
  return Int32Array.from(rows)
}

/** Header length (u64), header (JSON, padded to 8), data; names in alphabetical order. */
export function safetensors(tensors: ReadonlyMap<string, Tensor>): Buffer {
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = {}
  const parts: Buffer[] = []
  let at = 0
  for (const [name, { shape, data }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
    header[name] = {
      dtype: data instanceof Int32Array ? 'I32' : 'F32',
      shape,
      data_offsets: [at, at + data.byteLength],
    }
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    at += data.byteLength
  }
  const text = JSON.stringify(header)
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8, ' '))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return Buffer.concat([length, padded, ...parts])
}

export async function dump(path: string, session: Session, run: Run): Promise<void> {
  await replaceFile(path, 'the dump', [safetensors(tensorsOf(session, run))])
}
