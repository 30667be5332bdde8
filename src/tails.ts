/** A text's last rows under several policies side by side, after one reading of what comes before: how far their predictions are from the full cache's. */
import type { LoadedModel } from './loaded-model.js'
import type { Asked } from './native-cache.js'
import { native } from './native/binding.js'
import type { Call, Progress } from './native/call.js'
import type { Storage } from './native/engine.js'
import type { Reading } from './reading.js'
import { finite } from './sampling.js'
import { eachForks, feedTogether } from './side-forks.js'
import { localShadow } from './inspect/local.js'
import { meanOf } from './statistics/moments.js'
import { keptOf, NOTHING_KEPT } from './trace/level.js'

/** Means over the rows that count. */
export interface Tail {
  /** KL(full ‖ own) of the predictions, nats a token. */
  kl: number
  /** Share of rows whose likeliest token is the full cache's. */
  agreement: number
  /** −ln p of the next token, of the rows that have one, and by how much it is more than the full cache's. */
  loss: number
  change: number
  /** Mean over rows, layers and heads of ‖o − o*‖/‖o*‖, o* what a head gives with nothing removed, the layers below being those under the policy. */
  outputError?: number
}

export interface TailText {
  ids: Int32Array
  /** The last so many count (≥ 2), read token by token as generating does; what comes before is the prompt. */
  rows: number
  storage: Storage
  /** Measures the heads' output error, too: `rows` attentions of each choice are kept until it is done. Default false. */
  outputError?: boolean
}

/**
 * put(i, tail, reading) for each of `asked` as it comes: a policy with its budgets, that is given the prompt's cache. The prompt is read once; `reading` has read the text and
 * lives until put returns. Progress counts tokens: those of the prompt, and `rows` for the full cache and each choice.
 */
export async function readTails(
  model: LoadedModel,
  { ids, rows, storage, outputError = false }: TailText,
  asked: readonly Asked[],
  put: (choice: number, tail: Tail, reading: Reading) => void | Promise<void>,
  { signal, progress }: Call,
): Promise<void> {
  const [prompt, tail] = [ids.slice(0, -rows), ids.slice(-rows)]
  const total = ids.length + asked.length * rows
  let done = prompt.length
  const reading = { signal, progress: (fed: Progress) => progress?.({ done: fed.done, total }) }
  const read = (count: number) => progress?.({ done: (done += count), total })
  const base: Float32Array[] = []
  const { layers, kvHeads } = model.description
  const trace = outputError ? keptOf('events', layers, kvHeads) : NOTHING_KEPT
  await eachForks(model, { ids: prompt, storage, trace }, asked, reading, async (from, forks, full, whole) => {
    if (outputError) for (const fork of forks) fork.keepAttention()
    const sums = forks.map((): Tail => ({ kl: 0, agreement: 0, loss: 0, change: 0 }))
    await eachRow(full ? [...forks, full] : forks, tail, { signal, progress: read }, (each, at) => {
      if (full) base.push(each[forks.length])
      for (const [i, sum] of sums.entries()) addRow(sum, model, base[at], each[i], tail[at + 1])
    })
    for (const [i, { kl, agreement, loss, change }] of sums.entries()) {
      const next = rows - 1
      const means: Tail = { kl: kl / rows, agreement: agreement / rows, loss: loss / next, change: change / next }
      if (outputError) means.outputError = await errorOf(forks[i], whole, rows, signal)
      await put(from + i, means, forks[i])
    }
  })
}

/** Of what `own` has kept of its last `rows` calls, beside the full cache of `whole`. */
async function errorOf(own: Reading, whole: Reading, rows: number, signal: AbortSignal | undefined): Promise<number> {
  const local = await localShadow(
    {
      shape: whole.cache.options.shape,
      policy: own.current.policy,
      events: own.cache.events(),
      calls: own.log.map((fed) => fed.ids.length),
      positions: Int32Array.from({ length: rows }, (_, at) => whole.seqLen + at),
    },
    whole.cache,
    own.log.slice(1).map((fed) => fed.given!.attention!),
    { signal, progress: undefined },
  )
  return meanOf(local.error)
}

function addRow(sum: Tail, model: LoadedModel, base: Float32Array, row: Float32Array, next: number | undefined): void {
  const { kl, logSumP, logSumQ, bestP, bestQ } = native().compareLogits(model.engine.native, base, row)
  sum.kl += kl
  sum.agreement += finite(base, bestP) === finite(row, bestQ) ? 1 : 0
  if (next === undefined) return
  sum.loss += logSumQ - row[next]
  sum.change += base[next] - logSumP - (row[next] - logSumQ)
}

/** Reads `tail` token by token, all readings side by side → a row of logits of each. */
async function eachRow(
  readings: readonly Reading[],
  tail: Int32Array,
  { signal, progress }: Pick<Call, 'signal'> & { progress(rows: number): void | Promise<void> | undefined },
  row: (logits: readonly Float32Array[], at: number) => void,
): Promise<void> {
  for (const [at, id] of tail.entries()) {
    await feedTogether(readings, () => Int32Array.of(id), signal)
    row(
      readings.map((reading) => reading.lastLogits()),
      at,
    )
    await progress(readings.length)
  }
}
