/** What predictions lose as one kv head's kept share varies and the others stay as they are: measured share by share, told as curves. */
import type { Budgets } from '../budgets.js'
import { ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Call } from '../native/call.js'
import { fullCache } from '../policies/index.js'
import { Reading } from '../reading.js'
import { damageOfBudgets, STORAGE } from './damage-compressed.js'
import type { CurveValues } from './facts.js'
import { decodedRows, eachMarked, headCount, type Measure, type Probe, type Work } from './measure.js'

const MEASURE: Measure = {
  name: 'budgetCurve',
  formula:
    "the text's beginning is the prompt, then its last `rows` (at most half of it) are read one by one; Δ(s): mean of −ln p of the next token, of the rows that have one, with the kv head keeping share s of the prompt under `policy`, less that with it as the others, which keep `others` of it; mean of Δ from the least to the greatest of `shares`: the area under the curve, by trapezoids, over its width (Δ itself of one share)",
  unit: 'nats',
  least: -Infinity,
  most: Infinity,
  source: 'Attention Matching, arXiv 2602.16284 (influence curves)',
  differs: 'its curves are of its own compaction; one number of a curve is zslab’s',
  kv: 'own',
  leastTokens: 4,
  needs: 'policy',
}

export const budgetCurve = (): Probe => ({
  name: MEASURE.name,
  measures: [MEASURE],
  stepwise: true,
  about: ({ rows, policy, curve }) => ({ rows, policy: String(policy), others: curve.others }),
  more: ({ model, curve }) => Object.fromEntries(curve.shares.map((share) => [share, headCount(model)])),
  derive,
  check(model, policy, { shares }) {
    // Whether the policy takes budgets that differ by head.
    const [budgets] = choicesOf(model, [{ head: 0, share: shares[0] }], 1)
    Reading.create(model, { policy, budgets, storage: STORAGE }).dispose()
  },
  layers: (work) => layersFor(work, missingOf(work).length),
  pace,
  run,
})

/** Δ of every kv head, repeated over its group, by share; NaN: not there yet. */
function lossesAt({ model, more }: Work, share: number): Float64Array {
  const name = String(share)
  if (!more.has(name)) more.set(name, new Float64Array(headCount(model)).fill(NaN))
  return more.get(name)!
}

interface Varied {
  /** layer * kvHeads + kvHead */
  head: number
  share: number
}

/** kv heads of which a query head is wanted. */
function wantedOf({ marks, model }: Work): Set<number> {
  const wanted = new Set<number>()
  eachMarked(marks, (at) => wanted.add(Math.floor(at / groupOf(model))))
  return wanted
}

const groupOf = ({ description }: LoadedModel) => description.heads / description.kvHeads

const missingOf = (work: Work): Varied[] =>
  Array.from(wantedOf(work)).flatMap((head) =>
    work.curve.shares.flatMap((share) =>
      Number.isNaN(lossesAt(work, share)[head * groupOf(work.model)]) ? [{ head, share }] : [],
    ),
  )

/** [layers][kvHeads] for each: `rest` but for one head. */
function choicesOf(
  { description: { layers, kvHeads } }: LoadedModel,
  varied: readonly Partial<Varied>[],
  rest: number,
): Budgets[] {
  return varied.map(({ head, share }) =>
    Array.from({ length: layers }, (_, layer) =>
      Array.from({ length: kvHeads }, (_, kvHead) => (layer * kvHeads + kvHead === head ? share! : rest)),
    ),
  )
}

/** The prompt, its rows under the full cache and with all heads at `others`; then once more for each head and share. */
const layersFor = ({ model }: Work, missing: number) => (missing ? model.description.layers * (3 + missing) : 0)

/** Of rows read one by one. */
async function pace({ model, ids, rows }: Work, { signal }: Call): Promise<number> {
  const reading = Reading.create(model, { policy: fullCache(), storage: STORAGE })
  try {
    await reading.feed(ids.slice(0, 2), { signal })
    const started = performance.now()
    for (const id of ids.subarray(2, 4)) await reading.feed(Int32Array.of(id), { signal })
    const each = (performance.now() - started) / 1000 / 2
    return (each * decodedRows(ids, rows)) / model.description.layers
  } finally {
    reading.dispose()
  }
}

function derive(work: Work): void {
  const { shares } = work.curve
  eachMarked(work.marks, (at) => {
    const curve = shares.map((share) => lossesAt(work, share)[at])
    work.values.get(MEASURE.name)![at] = meanLoss(shares, curve)
  })
}

async function run(work: Work): Promise<void> {
  const missing = missingOf(work)
  const { model, ids, policy, curve, call } = work
  const rows = decodedRows(ids, work.rows)
  const group = groupOf(model)
  // A share of 1 is of the prompt, and the rows after it are to stay, too.
  const rest = curve.others === 1 ? ids.length : curve.others
  const total = layersFor(work, missing.length)
  let base = NaN
  await damageOfBudgets(
    model,
    { policy: policy!, rows },
    ids,
    choicesOf(model, [{}, ...missing], rest),
    (choice, { loss }) => {
      if (!Number.isFinite(loss))
        throw new ZslabError('internal', 'predictions are no numbers where heads keep less: check the model')
      if (choice === 0) base = loss
      else {
        const { head, share } = missing[choice - 1]
        lossesAt(work, share).fill(loss - base, head * group, (head + 1) * group)
      }
    },
    {
      signal: call.signal,
      progress: (counted) => call.progress?.({ done: (total * counted.done) / counted.total, total }),
    },
  )
}

/** Area under a curve over its width; the one loss where it is of one share. */
export function meanLoss(shares: readonly number[], losses: readonly number[]): number {
  let area = 0
  for (let i = 1; i < shares.length; i++) area += ((shares[i] - shares[i - 1]) * (losses[i] + losses[i - 1])) / 2
  return shares.length > 1 ? area / (shares[shares.length - 1] - shares[0]) : losses[0]
}

/** Of all texts; null where none was measured. */
export function curvesOf(works: readonly Work[]): CurveValues | null {
  const own = works.filter(({ values }) => values.has(MEASURE.name))
  if (!own.length) return null
  const [{ curve, model }] = own
  const { layers, kvHeads } = model.description
  const wanted = wantedOf(own[0])
  const ofText = (head: number) => (work: Work) =>
    curve.shares.map((share) => lossesAt(work, share)[head * groupOf(model)])
  const perText = Array.from({ length: layers }, (_, layer) =>
    Array.from({ length: kvHeads }, (__, kvHead) => {
      const head = layer * kvHeads + kvHead
      return wanted.has(head) ? own.map(ofText(head)) : null
    }),
  )
  return { ...curve, perText }
}
