/** Files of head scores as others have published them, told apart by what is in them. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { ZslabError } from '../errors.js'
import { text as checkedText } from '../expect.js'

export interface PublishedScores {
  format: 'duo-attention' | 'retrieval' | 'kv-scores'
  /** What the rows are of. */
  of: 'heads' | 'kvHeads'
  layers: number
  /** Of a layer: query heads or kv heads. */
  each: number
  /** [layers * each], the mean of `runs`. */
  values: Float64Array
  /** Of retrieval files, one for each detection that all heads have; else one. */
  runs: Float64Array[]
}

/**
 * Reads
 * - DuoAttention's `full_attention_heads.tsv`: a line for each layer, a gate in [0, 1] for each kv head between tabs;
 * - Retrieval_Head's and HeadKV's JSON: `{ "layer-head": [a score for each detection] }`, of query heads;
 * - JSON of nested arrays [layers][kvHeads], as which KVzip's `.pt` files are written by
 *   `python -c "import json, sys, torch; s = torch.load(sys.argv[1], map_location='cpu'); s = torch.stack(list(s)) if not hasattr(s, 'shape') else s;
 *   print(json.dumps(s.float().reshape(s.shape[0], -1).tolist()))" in.pt > out.json`.
 *
 * Errors: 'file' with what was found and where.
 */
export async function readPublished(path: string): Promise<PublishedScores> {
  checkedText('path', path)
  let content: Buffer
  try {
    content = await readFile(path)
  } catch (error) {
    throw new ZslabError('file', `cannot read ${path}: ${(error as Error).message}`)
  }
  // A zip archive or a pickle, either of which torch writes.
  if (content.subarray(0, 2).toString('latin1') === 'PK' || content[0] === 0x80)
    throw new ZslabError(
      'file',
      `${path} is a file of PyTorch, which only PyTorch reads: write its scores as JSON [layers][kvHeads] (the command is in the documentation of readPublished) and give that`,
    )
  const text = content.toString('utf8')
  return extname(path) === '.tsv' || !/^\s*[[{]/.test(text) ? gatesOf(path, text) : scoresOf(path, text)
}

function gatesOf(path: string, text: string): PublishedScores {
  const lines = text.split(/\r?\n/).filter((line) => line.trim())
  return table(
    path,
    'duo-attention',
    lines.map((line) => line.trim().split('\t').map(Number)),
    'a tab-separated line of gates for each layer',
  )
}

function scoresOf(path: string, text: string): PublishedScores {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new ZslabError('file', `${path} is no JSON: ${(error as Error).message}`)
  }
  return Array.isArray(value)
    ? table(path, 'kv-scores', value as unknown[][], 'arrays [layers][kvHeads] of scores')
    : detectionsOf(path, value as Record<string, unknown>)
}

function table(
  path: string,
  format: PublishedScores['format'],
  rows: readonly (readonly unknown[])[],
  expected: string,
): PublishedScores {
  const each = Array.isArray(rows[0]) ? rows[0].length : 0
  if (!each) throw new ZslabError('file', `${path} holds no scores: expected ${expected}`)
  rows.forEach((row, layer) => {
    if (!Array.isArray(row) || row.length !== each)
      throw new ZslabError(
        'file',
        `${path} has ${Array.isArray(row) ? row.length : 'no'} scores in row ${layer}, but ${each} in row 0: expected ${expected}`,
      )
    const bad = row.findIndex((score) => typeof score !== 'number' || !Number.isFinite(score))
    if (bad >= 0)
      throw new ZslabError('file', `${path} has no number in row ${layer}, column ${bad}: expected ${expected}`)
  })
  const values = Float64Array.from((rows as number[][]).flat())
  return { format, of: 'kvHeads', layers: rows.length, each, values, runs: [values] }
}

function detectionsOf(path: string, scores: Record<string, unknown>): PublishedScores {
  const expected = 'an object of "layer-head": [a score for each detection]'
  const fault = (what: string) => new ZslabError('file', `${path} ${what}: expected ${expected}`)
  const found = new Map<string, number[]>()
  let [layers, each] = [0, 0]
  for (const [name, list] of Object.entries(scores)) {
    const [, layer, head] = /^(\d{1,4})-(\d{1,4})$/.exec(name) ?? []
    if (layer === undefined) throw fault(`has a key ${JSON.stringify(name.slice(0, 40))}`)
    if (
      !Array.isArray(list) ||
      !list.length ||
      list.some((score) => typeof score !== 'number' || !Number.isFinite(score))
    )
      throw fault(`has no list of numbers for "${name}"`)
    found.set(`${Number(layer)}-${Number(head)}`, list as number[])
    layers = Math.max(layers, Number(layer) + 1)
    each = Math.max(each, Number(head) + 1)
  }
  if (!found.size) throw fault('holds no scores')
  const all = Array.from({ length: layers * each }, (_, at) => {
    const name = `${Math.floor(at / each)}-${at % each}`
    const list = found.get(name)
    if (!list) throw fault(`has no scores for head ${name}, though for others of ${layers} layers × ${each} heads`)
    return list
  })
  const count = Math.min(...all.map((list) => list.length))
  return {
    format: 'retrieval',
    of: 'heads',
    layers,
    each,
    values: Float64Array.from(all, (list) => list.reduce((sum, score) => sum + score, 0) / list.length),
    runs: Array.from({ length: count }, (_, run) => Float64Array.from(all, (list) => list[run])),
  }
}
