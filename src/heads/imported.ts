/** Measures of heads from files: what others have published, and what this project saved. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { ZslabError } from '../errors.js'
import { integer, options as checkedOptions, text as checkedText } from '../expect.js'
import { usable, type LoadedModel } from '../loaded-model.js'
import { reliabilityOf } from './agreement.js'
import type { HeadsShape, ImportanceParts } from './facts.js'
import type { Measure } from './measure.js'
import { readPublished, type PublishedScores } from './published.js'
import { FORMAT, savedParts } from './saved.js'

export interface FromOptions {
  /** The model that the scores are of: says heads and kv heads, and is what judge() reads texts with. */
  model?: LoadedModel
  /** Query heads of a layer, for a file of kv heads without a model; default as many as kv heads. */
  heads?: number
  /** kv heads of a layer, for a file of query heads without a model; default as many as query heads. */
  kvHeads?: number
  /** What its measure is called; default by its kind: duoAttention, retrievalScores, kvScores. */
  name?: string
}

const KINDS: Record<PublishedScores['format'], Omit<Measure, 'leastTokens' | 'differs'>> = {
  'duo-attention': {
    name: 'duoAttention',
    formula:
      'gate α of a kv head, learned so that α·(full attention) + (1 − α)·(sinks and recent tokens) does as full attention',
    unit: 'share',
    least: 0,
    most: 1,
    source: 'Xiao et al., arXiv 2410.10819',
    kv: 'own',
  },
  retrieval: {
    name: 'retrievalScores',
    formula:
      'mean over the detections of the file: the share of needle tokens that a query head copied (Retrieval_Head), or its attention on them (HeadKV, R2)',
    unit: 'share',
    least: 0,
    most: Infinity,
    source: 'Wu et al., arXiv 2404.15574; Fu et al., arXiv 2410.19258',
    kv: 'max',
  },
  'kv-scores': {
    name: 'kvScores',
    formula:
      'a score of a kv head, as the file has it (KVzip: the most probability that a token gets while the model repeats the context)',
    unit: '1',
    least: -Infinity,
    most: Infinity,
    source: 'Kim et al., arXiv 2505.23416, for files of KVzip',
    kv: 'own',
  },
}

/** See Importance.from(). */
export async function importedParts(path: string, options: FromOptions = {}): Promise<ImportanceParts> {
  checkedOptions('Importance.from', options, ['model', 'heads', 'kvHeads', 'name'])
  checkedText('path', path)
  const name = options.name === undefined ? undefined : checkedText('name', options.name)
  if (options.model !== undefined) usable(options.model)
  const content = await contentOf(path)
  const saved = savedIn(content)
  if (saved) {
    for (const option of ['heads', 'kvHeads', 'name'] as const)
      if (options[option] !== undefined)
        throw new ZslabError(
          'invalid',
          `${path} was saved by this project and says its heads and names itself: leave out ${option}`,
        )
    const parts = savedParts(path, saved)
    fitting(path, parts.shape, options.model)
    return parts
  }
  const scores = await readPublished(path)
  const shape = shapeOf(path, scores, options)
  const { each, values, runs, format } = scores
  const group = shape.heads / each
  const repeated = (of: Float64Array) =>
    Float64Array.from({ length: of.length * group }, (_, at) => of[Math.floor(at / group)])
  const sha256 = createHash('sha256').update(content).digest('hex')
  const file = basename(path)
  const kind = KINDS[format]
  const measure = {
    ...kind,
    name: name ?? kind.name,
    source: `${kind.source}; read from ${file}, SHA-256 ${sha256.slice(0, 16)}`,
    differs: '',
    leastTokens: 1,
  }
  const card = { model: { name: options.model ? basename(options.model.name) : file }, file, sha256, format }
  return {
    shape,
    found: [
      { measure, values: repeated(values), perText: [], random: false, reliability: reliabilityOf({ perText: runs }) },
    ],
    distances: null,
    curves: null,
    facts: { card, texts: [], seeds: [], needleSeeds: [], tokens: 256, rows: 32, policy: null },
  }
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new ZslabError('file', `cannot read ${path}: ${(error as Error).message}`)
  }
}

/** What the file holds, where it is one of ours. */
function savedIn(content: Buffer): Record<string, unknown> | undefined {
  if (!content.includes(`"${FORMAT}"`)) return undefined
  try {
    const value = JSON.parse(content.toString('utf8')) as Record<string, unknown> | null
    return value?.format === FORMAT ? value : undefined
  } catch {
    return undefined // readPublished says what is wrong with it
  }
}

function shapeOf(path: string, { of, layers, each }: PublishedScores, { model, ...options }: FromOptions): HeadsShape {
  const asked = { ...model?.description, ...given(options) }
  const shape =
    of === 'kvHeads'
      ? { layers, kvHeads: asked.kvHeads ?? each, heads: asked.heads ?? each }
      : { layers, heads: asked.heads ?? each, kvHeads: asked.kvHeads ?? each }
  if (shape[of] !== each)
    throw new ZslabError(
      'invalid',
      `${path} has scores of ${each} ${of === 'heads' ? 'query' : 'kv'} heads a layer, and there should be ${shape[of]}: it is of another model`,
    )
  if (shape.heads % shape.kvHeads)
    throw new ZslabError(
      'invalid',
      `${shape.heads} query heads do not share ${shape.kvHeads} kv heads evenly: give the ${of === 'heads' ? 'kvHeads' : 'heads'} of the model that ${path} is of`,
    )
  fitting(path, shape, model)
  return shape
}

function given({ heads, kvHeads }: FromOptions): Partial<HeadsShape> {
  return {
    ...(heads !== undefined && { heads: integer('heads', heads, 1, 2 ** 16) }),
    ...(kvHeads !== undefined && { kvHeads: integer('kvHeads', kvHeads, 1, 2 ** 16) }),
  }
}

function fitting(path: string, { layers, heads, kvHeads }: HeadsShape, model: LoadedModel | undefined): void {
  if (!model) return
  const { description: d } = model
  if (layers !== d.layers || heads !== d.heads || kvHeads !== d.kvHeads)
    throw new ZslabError(
      'invalid',
      `${path} is of ${layers} layers × ${heads} query heads on ${kvHeads} kv heads, and the model has ${d.layers} × ${d.heads} on ${d.kvHeads}: it is of another model`,
    )
}
