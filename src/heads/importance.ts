/** headImportance(): measures of every query head of a model over texts, computed together and each by its exact definition. */
import { callOptions, integer, invalid } from '../expect.js'
import { ZslabError } from '../errors.js'
import { usable, type LoadedModel, type TextOrIds } from '../loaded-model.js'
import { withBar } from '../long-work.js'
import { native } from '../native/binding.js'
import { withCall, type Call, type CallOptions, type Progress } from '../native/call.js'
import { policyOf, type Policy } from '../policies/index.js'
import { Reading } from '../reading.js'
import { engineCard } from '../trace/card.js'
import { BY_DISTANCE, distanceBins } from './distances.js'
import type { Distances, HeadMeasure, ImportanceText } from './facts.js'
import { headCount, type Measure, type Probe, type Work } from './measure.js'
import { HEAD_MEASURES, measuresOf, probesOf } from './measures.js'
import { repeatedIds } from './repeated.js'
import { Importance } from './result.js'
import { folderOf, Part } from './store.js'
import { textsOf } from './texts.js'

export interface HeadImportanceOptions extends CallOptions {
  /** Names of measures; HEAD_MEASURES says what each is. */
  by: string | readonly string[]
  /** Only these query heads (default: all); the others are NaN. */
  heads?: readonly { layer: number; head: number }[]
  /** A folder where results are kept while they are made, and gone on from: of ablations and gates each, of other measures those of a whole text. */
  store?: string
  /** Tokens of a text, its first, that are read for ablations and gates: default 256. Other measures read all of it. */
  tokens?: number
  /** The last rows of those that count: default 32. */
  rows?: number
  /** Under which heads are measured by `retainedMass` and `outputError`, with its budget; those need it. */
  policy?: Policy
  /** Of random sequences (`echo` and its like) and needles: 0 to 2³² − 1, default 1; counted on by one for each sequence, each text. */
  seed?: number
  /** Random sequences; default 2. */
  sequences?: number
}

const OPTIONS = ['by', 'heads', 'store', 'tokens', 'rows', 'policy', 'seed', 'sequences']

interface Planned {
  probe: Probe
  work: Work
  /** Of the texts, or of the random sequences. */
  at: number
}

/**
 * Measures `by` of every query head → Importance: of each measure [layers][heads] in float64, the mean over texts (`duoOnTheFly`: of the mean query and
 * key over them), each text's own, and the same by kv head. A text as a string or token ids; several as an array of them; random sequences
 * are read for the measures of random ids. Keys and values are float32 and attention is full, whatever sessions use; the weights
 * are the model's: for numbers equal to public code's load them as float32. Errors: 'invalid' for a measure or head that there is none of and
 * for a text that is too short or too long for a measure, before anything is read; 'file' for a store that cannot be read or written.
 */
export async function headImportance(
  model: LoadedModel,
  textOrTexts: TextOrIds | readonly TextOrIds[],
  options: HeadImportanceOptions,
): Promise<Importance> {
  usable(model)
  callOptions('headImportance', options, OPTIONS)
  const measures = measuresOf(options?.by)
  const marks = marksOf(model, options.heads)
  const tokens = options.tokens === undefined ? 256 : integer('tokens', options.tokens, 2, model.description.context)
  const rows = options.rows === undefined ? 32 : integer('rows', options.rows, 2, tokens)
  const seed = options.seed === undefined ? 1 : integer('seed', options.seed, 0, 2 ** 32 - 1)
  const sequences = options.sequences === undefined ? 2 : integer('sequences', options.sequences, 1, 1000)
  const policy = policyFor(model, measures, options.policy)
  const store = options.store === undefined ? undefined : folderOf(options.store)
  if (store !== undefined && policy?.native.choose)
    throw invalid('store', 'none beside a policy of your own, whose code may change', store, 'leave it out')
  const texts = textsOf(model, textOrTexts)
  const seeds = Array.from({ length: sequences }, (_, i) => (seed + i) % 2 ** 32)
  const random = seeds.map((each) => repeatedIds(model, each))
  const probes = probesOf(measures)
  for (const { probe, wanted } of probes) if (!probe.random) checkLengths(texts, wanted, model)

  return withBar(
    'measuring heads,',
    options,
    async (call) => {
      await model.file.sha256({ signal: call.signal })
      const card = engineCard(model)
      const planned = probes.flatMap(({ probe, wanted }) =>
        (probe.random ? random : texts).map((ids, at): Planned => {
          const values = new Map(wanted.map(({ name }) => [name, new Float64Array(headCount(model)).fill(NaN)]))
          return {
            probe,
            at,
            work: {
              model,
              ids,
              marks,
              values,
              more: new Map(),
              tokens,
              rows,
              policy,
              seed: (seed + at) % 2 ** 32,
              call: {},
            },
          }
        }),
      )
      const parts = new Map(
        planned.flatMap(({ probe, work }) => (store ? [[work, new Part(store, probe, work, card)]] : [])),
      )
      await carryOut(planned, parts, call)
      const found = measures.map((measure) => gathered(measure, planned))
      const read = texts.map((ids): ImportanceText => ({ tokens: ids.length, ids: Array.from(ids) }))
      const usesRandom = probes.some(({ probe }) => probe.random)
      const needles = planned.filter(({ probe }) => probe.seeded)
      const facts = {
        card,
        texts: read,
        seeds: usesRandom ? seeds : [],
        needleSeeds: needles.map(({ work }) => work.seed),
        tokens,
        rows,
        policy: policy === undefined ? null : String(policy),
      }
      return new Importance(model.description, found, distancesOf(planned, model), facts, model)
    },
    'layers',
  )
}

async function carryOut(planned: readonly Planned[], parts: Map<Work, Part>, call: Call): Promise<void> {
  const layers = planned.map(({ probe, work }) => (parts.get(work)?.whole ? 0 : probe.layers(work)))
  const total = layers.reduce((sum, each) => sum + each, 0)
  const doing = total ? await estimated(planned, layers, call) : undefined
  let before = 0
  for (const [i, { probe, work }] of planned.entries()) {
    const part = parts.get(work)
    const progress = ({ done }: Progress) => {
      part?.tick()
      return call.progress?.({ done: before + Math.min(done, layers[i]), total, doing })
    }
    work.call = { signal: call.signal, progress }
    let done = false
    try {
      if (layers[i]) await probe.run(work)
      done = true
    } finally {
      if (layers[i]) await part?.save(done)
    }
    before += layers[i]
    await call.progress?.({ done: before, total, doing })
  }
}

/** What is to be done and about how long it takes, from one reading of the first text where there is much of it. */
async function estimated(
  planned: readonly Planned[],
  layers: readonly number[],
  call: Call,
): Promise<string | undefined> {
  const at = planned.findIndex(({ probe }, i) => probe.stepwise && layers[i] > 0)
  if (at < 0) return undefined
  const { model, ids, tokens, rows } = planned[at].work
  const read = ids.slice(0, tokens)
  const started = performance.now()
  await withCall({ signal: call.signal }, (running) =>
    native().modelRead(model.native, { ids: read, rows: Math.min(rows, read.length), changes: [] }, running),
  )
  const each = (performance.now() - started) / model.description.layers
  const seconds = (each * layers.reduce((sum, one) => sum + one, 0)) / 1000
  const texts = planned.filter(({ probe }, i) => probe.stepwise && layers[i] > 0).length
  const heads = planned[at].work.marks.reduce((sum, marked) => sum + marked, 0)
  return `measuring ${heads} heads in ${texts} text${texts > 1 ? 's' : ''}, about ${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s,`
}

function gathered(measure: Measure, planned: readonly Planned[]): HeadMeasure {
  const own = planned.filter(({ work }) => work.values.has(measure.name))
  const perText = own.map(({ work }) => work.values.get(measure.name)!)
  const [{ probe, work }] = own
  const pooled = probe.pooled?.(own.map((one) => one.work))
  // A text that says nothing of a measure has none of its values.
  const mean = perText[0].map((_, head) => {
    const there = perText.map((values) => values[head]).filter((value) => !Number.isNaN(value))
    return there.reduce((sum, value) => sum + value, 0) / there.length
  })
  const values = pooled ? pooled.map((value, head) => (work.marks[head] ? value : NaN)) : mean
  return { measure, values, perText, random: probe.random === true }
}

/** Errors: 'invalid' where a measure needs one and there is none, or none does; 'unsupported' for one that changes keys or values as they come. */
function policyFor(model: LoadedModel, measures: readonly Measure[], given: unknown): Policy | undefined {
  const needing = measures.find(({ needs }) => needs === 'policy')
  if (given === undefined) {
    if (!needing) return undefined
    throw new ZslabError(
      'invalid',
      `${needing.name} is measured under a policy at a budget: give one, policy: zsmerge({ budget: 0.2 }), or leave ${needing.name} out`,
    )
  }
  if (!needing) {
    const names = HEAD_MEASURES.flatMap(({ name, needs }) => (needs === 'policy' ? [name] : []))
    throw invalid(
      'policy',
      'none, as no measure in `by` depends on it',
      given,
      `leave it out, or add ${names.join(' or ')}`,
    )
  }
  const policy = policyOf(given)
  Reading.create(model, { policy, storage: 'float32', trace: { level: 'vectors', queries: 0 } }).dispose()
  return policy
}

/** Mean over the texts that were read for it. */
function distancesOf(planned: readonly Planned[], { description }: LoadedModel): Distances | null {
  const perText = planned.flatMap(({ work }) => work.more.get(BY_DISTANCE) ?? [])
  if (!perText.length) return null
  const bins = distanceBins(description.context)
  const mean = perText[0].map((_, at) => perText.reduce((sum, shares) => sum + shares[at], 0) / perText.length)
  const of = (layer: number, head: number) => (layer * description.heads + head) * bins.length
  // What is kept may be of more heads.
  const marked = (layer: number, head: number) => planned[0].work.marks[layer * description.heads + head]
  const shares = Array.from({ length: description.layers }, (_, layer) =>
    Array.from({ length: description.heads }, (_, head) => {
      const from = of(layer, head)
      return marked(layer, head) ? mean.slice(from, from + bins.length) : new Float64Array(bins.length).fill(NaN)
    }),
  )
  return { bins, shares }
}

function marksOf(model: LoadedModel, heads: HeadImportanceOptions['heads']): Uint8Array {
  const { layers, heads: each } = model.description
  const marks = new Uint8Array(layers * each)
  if (heads === undefined) return marks.fill(1)
  if (!Array.isArray(heads) || !heads.length) throw invalid('heads', 'an array of { layer, head }, at least one', heads)
  for (const one of heads as readonly { layer: number; head: number }[]) {
    if (typeof one !== 'object' || one === null) throw invalid('heads', '{ layer, head } for each', one)
    const layer = integer('layer', one.layer, 0, layers - 1)
    marks[layer * each + integer('head', one.head, 0, each - 1)] = 1
  }
  return marks
}

function checkLengths(texts: readonly Int32Array[], wanted: readonly Measure[], { description }: LoadedModel): void {
  for (const { name, leastTokens, mostTokens } of wanted)
    texts.forEach(({ length }, i) => {
      if (length < leastTokens)
        throw new ZslabError(
          'invalid',
          `text ${i} has ${length} token${length === 1 ? '' : 's'}, ${leastTokens - length} too few for ${name}, which needs at least ${leastTokens}: give a longer text, or leave ${name} out`,
        )
      const most = mostTokens?.(description.context) ?? length
      if (length > most)
        throw new ZslabError(
          'invalid',
          `text ${i} has ${length} tokens, ${length - most} too many for ${name}, which can read at most ${most} in the model's context of ${description.context}: give a shorter text, or leave ${name} out`,
        )
    })
}
