/** headImportance(): measures of every query head of a model over texts, computed together and each by its exact definition. */
import { integer, invalid } from '../expect.js'
import { usable, type LoadedModel, type TextOrIds } from '../loaded-model.js'
import { withBar } from '../long-work.js'
import type { Call, Progress } from '../native/call.js'
import { lasting, madeBy, Place, Recipe } from '../recipe/recipe.js'
import { engineCard } from '../trace/card.js'
import { askedOf, checkLengths, type HeadImportanceOptions } from './asked.js'
import { curvesOf } from './budget-curve.js'
import { BY_DISTANCE, distanceBins } from './distances.js'
import type { Distances, HeadMeasure, ImportanceText } from './facts.js'
import { headCount, type Measure, type Probe, type Work } from './measure.js'
import { repeatedIds } from './repeated.js'
import { Importance } from './result.js'
import { Part } from './store.js'
import { textsOf } from './texts.js'

interface Planned {
  probe: Probe
  work: Work
  /** Of the texts, or of the random sequences. */
  at: number
}

/**
 * Measures `by` of every query head → Importance: of each measure [layers][heads] in float64, the mean over texts (`duoOnTheFly`: of the mean query and
 * key over them), each text's own, and the same by kv head. A text as a string or token ids; several as an array of them; random sequences
 * are read for the measures of random ids; with `budgetCurve` its curves are there, too. Keys and values are float32 and attention is full but
 * for measures under a policy, whatever sessions use; the weights are the model's: for numbers equal to public code's load them as float32. Errors,
 * before anything is read: 'invalid' for an option that makes no sense, a measure or head that there is none of and a text that is too short or too
 * long for a measure, 'unsupported' for a policy that a measure cannot be of; 'file' for a store that cannot be read or written.
 */
export async function headImportance(
  model: LoadedModel,
  textOrTexts: TextOrIds | readonly TextOrIds[],
  options: HeadImportanceOptions,
): Promise<Importance> {
  usable(model)
  const asked = askedOf(options)
  const { measures, probes, tokens, rows, seed, policy, store, curve } = asked
  const { context } = model.description
  if (options.tokens !== undefined) integer('tokens', tokens, 2, context)
  const marks = marksOf(model, options.heads)
  const texts = textsOf(model, textOrTexts)
  checkLengths(
    texts.map(({ length }) => length),
    asked,
    context,
  )
  if (policy) for (const { probe } of probes) probe.check?.(model, policy, curve)
  const seeds = Array.from({ length: asked.sequences }, (_, i) => (seed + i) % 2 ** 32)
  const random = seeds.map((each) => repeatedIds(model, each))

  return withBar(
    'measuring heads,',
    options,
    async (call) => {
      await model.file.sha256({ signal: call.signal })
      const card = engineCard(model)
      // First what may find that no text is one for it: nobody should wait for the others in vain.
      const first = probes.toSorted((a, b) => Number(b.probe.seeded ?? false) - Number(a.probe.seeded ?? false))
      const planned = first.flatMap(({ probe, wanted }) =>
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
              curve,
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
      const curves = curvesOf(planned.map(({ work }) => work))
      const importance = new Importance(
        { shape: model.description, found, distances: distancesOf(planned, model), curves, facts },
        model,
      )
      const given = lasting(options)
      const kept = store === undefined ? given : { ...given, store: new Place(store) }
      return madeBy(importance, Recipe.of('headImportance', [model, texts, kept]))
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
    probe.derive?.(work)
    if (probe.seeded && planned[i + 1]?.probe !== probe)
      probe.pooled?.(planned.filter((one) => one.probe === probe).map((one) => one.work))
    before += layers[i]
    await call.progress?.({ done: before, total, doing })
  }
}

/** What is to be done and about how long it takes, from a little of it, where there is much. */
async function estimated(
  planned: readonly Planned[],
  layers: readonly number[],
  { signal }: Call,
): Promise<string | undefined> {
  const long = planned.flatMap((one, i) => (one.probe.pace && layers[i] ? [{ ...one, layers: layers[i] }] : []))
  if (!long.length) return undefined
  let seconds = 0
  for (const probe of new Set(long.map((one) => one.probe))) {
    const own = long.filter((one) => one.probe === probe)
    const each = await probe.pace!(own[0].work, { signal })
    seconds += own.reduce((sum, one) => sum + each * one.layers, 0)
  }
  const texts = new Set(long.map(({ at }) => at)).size
  const heads = long[0].work.marks.reduce((sum, marked) => sum + marked, 0)
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
  for (const [i, one] of (heads as readonly { layer: number; head: number }[]).entries()) {
    if (typeof one !== 'object' || one === null) throw invalid('heads', '{ layer, head } for each', one)
    const layer = integer(`heads[${i}].layer`, one.layer, 0, layers - 1)
    marks[layer * each + integer(`heads[${i}].head`, one.head, 0, each - 1)] = 1
  }
  return marks
}
