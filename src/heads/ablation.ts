/** What a text's predictions lose without a head, or with a little less or more of it: each head by itself, all that they share read once. */
import { native } from '../native/binding.js'
import { withCall, type Call, type Progress } from '../native/call.js'
import { CHANGES, type NativeHeadChange } from '../native/heads.js'
import { eachMarked, missingHeads, watched, type Measure, type Probe, type Work } from './measure.js'
import { vary } from './variants.js'

/** How far gates go from 1, to either side. */
const STEP = 0.05

const MICHEL = 'Michel et al., arXiv 1905.10650'

const of = (name: string, formula: string, unit: string, least: number): Measure => ({
  name,
  formula: `${formula}; over the text's last rows (32) of its first tokens (256), of all positions at once`,
  unit,
  least,
  most: Infinity,
  source: MICHEL,
  differs: 'the change of a task’s metric on labelled data, in place of KL or loss on any text',
  kv: 'max',
  leastTokens: 2,
})

const zeroed = "the head's output before the output projection set to 0"
const meant = "the head's output before the output projection set to its mean over those tokens of the undisturbed text"
const loss = 'mean of −ln p of the next token, of the rows that have one'

const byMean = {
  source: `${MICHEL}; the mean in place of 0: Wang et al., arXiv 2211.00593`,
  differs: 'means are of other texts at the same position; a task’s metric in place of KL or loss on any text',
}

const MEASURES: readonly Measure[] = [
  of('ablation', `KL(base ‖ ablated) of the predictions, ${zeroed}`, 'nats', 0),
  of('ablationLoss', `loss ablated − base (${loss}), ${zeroed}`, 'nats', -Infinity),
  { ...of('ablationMean', `KL(base ‖ ablated) of the predictions, ${meant}`, 'nats', 0), ...byMean },
  { ...of('ablationMeanLoss', `loss ablated − base (${loss}), ${meant}`, 'nats', -Infinity), ...byMean },
  {
    ...of(
      'gradientFree',
      `|loss at gate ${1 + STEP} − loss at gate ${1 - STEP}| / ${2 * STEP} (${loss}), the gate a factor of the head's output`,
      'nats per gate',
      0,
    ),
    differs:
      'a two-sided difference in place of the backward pass; the code divides by the L2 norm of a layer, here nothing is normalised',
  },
]

/** Measures in pairs that one change gives: KL, loss. */
const KINDS: { change: (typeof CHANGES)[number]; kl: string; loss: string }[] = [
  { change: 'zero', kl: 'ablation', loss: 'ablationLoss' },
  { change: 'vector', kl: 'ablationMean', loss: 'ablationMeanLoss' },
]

export const ablation = (): Probe => ({
  name: 'ablation',
  measures: MEASURES,
  stepwise: true,
  about: ({ tokens, rows }) => ({ tokens, rows }),
  layers,
  pace,
  run,
})

interface Planned {
  change: NativeHeadChange
  /** Where its KL and its loss go. */
  put: (kl: number, loss: number, base: number) => void
}

function plan(work: Work, means?: Map<number, Float32Array>): Planned[] {
  const { values, model } = work
  const { heads } = model.description
  const change = (at: number, kind: (typeof CHANGES)[number], gate = 0, given?: Float32Array): NativeHeadChange => ({
    layer: Math.floor(at / heads),
    head: at % heads,
    kind: CHANGES.indexOf(kind),
    gate,
    ...(given && { values: given }),
  })
  const planned: Planned[] = []
  for (const kind of KINDS)
    for (const at of new Set([...missingHeads(work, kind.kl), ...missingHeads(work, kind.loss)]))
      planned.push({
        change: change(at, kind.change, 0, kind.change === 'vector' ? means?.get(at) : undefined),
        put(kl, loss, base) {
          const [toKl, toLoss] = [values.get(kind.kl), values.get(kind.loss)]
          if (toKl) toKl[at] = kl
          if (toLoss) toLoss[at] = loss - base
        },
      })
  for (const at of missingHeads(work, 'gradientFree')) {
    const losses: number[] = []
    for (const [side, gate] of [1 - STEP, 1 + STEP].entries())
      planned.push({
        change: change(at, 'gate', gate),
        put(_kl, loss) {
          losses[side] = loss
          if (losses[0] !== undefined && losses[1] !== undefined)
            values.get('gradientFree')![at] = Math.abs(losses[1] - losses[0]) / (2 * STEP)
        },
      })
  }
  return planned
}

/** Reads of the text itself, of which one is for its means. */
const reads = (work: Work) =>
  KINDS.some(({ kl, loss }) => kl === 'ablationMean' && [kl, loss].some((name) => missingHeads(work, name).length))
    ? 2
    : 1

function layers(work: Work): number {
  const { layers: all } = work.model.description
  const planned = plan(work)
  return planned.length ? planned.reduce((sum, { change }) => sum + all - change.layer, reads(work) * all) : 0
}

/** Of one reading. */
async function pace({ model, ids, tokens, rows }: Work, call: Call): Promise<number> {
  const read = ids.slice(0, tokens)
  const started = performance.now()
  await withCall(call, (running) =>
    native().modelRead(model.native, { ids: read, rows: Math.min(rows, read.length), changes: [] }, running),
  )
  return (performance.now() - started) / 1000 / model.description.layers
}

async function run(work: Work): Promise<void> {
  const { model, marks, call } = work
  const { headDim, layers: all } = model.description
  const ids = work.ids.slice(0, work.tokens)
  const total = layers(work)
  if (!total) return
  let before = 0
  const means = new Map<number, Float32Array>()
  if (reads(work) > 1) {
    const found = new Float64Array(marks.reduce((sum, marked) => sum + marked, 0) * headDim)
    await watched({ model, marks, call: { ...call, progress: told(call.progress, 0, total) } }, ids, {
      meanOutputs: found,
    })
    eachMarked(marks, (head, i) => means.set(head, Float32Array.from(found.subarray(i * headDim, (i + 1) * headDim))))
    before = all
  }
  const planned = plan(work, means)
  await vary(
    model,
    { ids, rows: work.rows },
    planned.map(({ change }) => [change]),
    (i, { kl, loss, base }) => planned[i].put(kl, loss, base),
    { ...call, progress: told(call.progress, before, total) },
  )
}

const told =
  (progress: Call['progress'], before: number, total: number) =>
  ({ done }: Progress) =>
    progress?.({ done: before + done, total })
