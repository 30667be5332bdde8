/** Bytes, limits and break-even of a decode step, full cache against ZSMerge, from the byte model alone: nothing is run. */
import { madeBy, Place, Recipe } from '../recipe/recipe.js'
import { namesText } from '../show/roofline-text.js'
import { showsItself } from '../show/show.js'
import { askedOf, compressedSlots, fullSlots, type Asked, type RooflineOptions } from './asked.js'
import { MOST_CONTEXT } from './break-even.js'
import { DEVICES } from './devices.js'
import { breakEvenOf, predictCache, ratiosOf, stepTime } from './predict.js'
import { Roofline, type RooflineCurve } from './result.js'
import { betweenHosts, scalingOf } from './scaling.js'
import { parametersOf, SHAPES } from './shapes.js'

/** Names that roofline() knows. */
export const ROOFLINE_MODELS: readonly string[] = showsItself(
  SHAPES.map(({ name }) => name),
  namesText('models'),
)
export const ROOFLINE_DEVICES: readonly string[] = showsItself(
  DEVICES.map(({ name }) => name),
  namesText('devices'),
)

/**
 * Predicts a decode step of `batch` sequences that hold `context` tokens each, under the full cache and under ZSMerge: bytes moved by part, the
 * least microseconds and most tokens a second, memory and the largest batch, ratios of both, and from which context on compressing pays.
 * Times are lower limits: bytes over bandwidth, or operations over the device's peak where that is more; no launches, no activations between
 * kernels, every launch at full bandwidth. Upkeep is that of one merge a step and kv head. With `devices` and `hosts` also what is exchanged
 * (docs/several-gpus.md). Errors: 'invalid' naming the option; of a GGUF file those of load().
 */
export async function roofline(options: RooflineOptions): Promise<Roofline> {
  const asked = await askedOf(options)
  const { model, context, batch, weights, storage, policy, device, cluster, latency } = asked
  const full = predictCache(asked, fullSlots)
  const compressed = predictCache(asked, (at) => compressedSlots(asked, at))
  const several = cluster.devices > 1 || cluster.hosts > 1
  const facts = { context, batch, weights, storage, policy: String(policy), device, cluster, latency }
  const predicted = new Roofline(
    { model: { ...model, parameters: parametersOf(model).total }, ...facts },
    full,
    compressed,
    ratiosOf(full, compressed),
    breakEvenOf(asked),
    curveOf(asked, [full.longest, compressed.longest]),
    several ? scalingOf(asked) : undefined,
    cluster.hosts > 1
      ? {
          full: betweenHosts(asked, full.memory.sequence),
          compressed: betweenHosts(asked, compressed.memory.sequence),
          weights: betweenHosts(asked, full.memory.weights),
        }
      : undefined,
  )
  const { model: given } = options
  const isPath = typeof given === 'string' && !ROOFLINE_MODELS.includes(given)
  return madeBy(predicted, Recipe.of('roofline', [{ ...options, model: isPath ? new Place(given) : given }]))
}

/** Between two powers of two. */
const PER_OCTAVE = 4

/** From 256 tokens, or less, to 128k or beyond what was asked, in even steps of the logarithm, with what was asked and the `ends` of memory. */
function curveOf(asked: Asked, ends: readonly (number | null)[]): RooflineCurve {
  const { context: own, batch, model, latency } = asked
  const low = Math.min(8, Math.floor(Math.log2(own)))
  const high = Math.min(Math.log2(MOST_CONTEXT), Math.max(17, Math.ceil(Math.log2(own)) + 1))
  const steps = Array.from({ length: (high - low) * PER_OCTAVE + 1 }, (_, i) => Math.round(2 ** (low + i / PER_OCTAVE)))
  const inside = ends.filter((end): end is number => end !== null && end > 2 ** low && end < 2 ** high)
  const context = Array.from(new Set([...steps, own, ...inside])).sort((a, b) => a - b)
  const compressed = (more: number) =>
    context.map((at) => {
      const slots = compressedSlots(asked, at)
      return slots && (1e6 * batch) / (stepTime(asked, slots) + model.layers * more)
    })
  return {
    context,
    full: context.map((at) => (1e6 * batch) / stepTime(asked, fullSlots(at))),
    compressed: compressed(0),
    compressedWithLatency: compressed(latency),
  }
}
