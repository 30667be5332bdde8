/**
 * Damage of kv heads whose cache is small: a text's beginning is the prompt, its last rows are read token by token as generating does, under a policy
 * that gives those heads a budget and the others room for everything.
 */
import type { LoadedModel } from '../loaded-model.js'
import type { Budgets } from '../budgets.js'
import { native } from '../native/binding.js'
import type { Call } from '../native/call.js'
import { fullCache, type Policy } from '../policies/index.js'
import { Reading } from '../reading.js'
import { allOf, sideBySide, type Together } from '../together.js'
import { NOTHING_KEPT } from '../trace/level.js'
import type { Damage, Taking } from './damage.js'

export interface Compression {
  policy: Policy
  /** Slots of a kv head that is taken, or share of the prompt. */
  budget: number
  /** The last so many of a text count. */
  rows: number
}

/** Choices whose rows are read together, at most: as many caches are held, and no more than this takes if nothing leaves any of them. */
const SIDE_BY_SIDE = 24
const MOST_BYTES = 1e9

/** Keys and values in float32, so that nothing but the budget does damage. */
export const STORAGE = 'float32'

/** `taken` kv heads get `budget`, the others room for all `tokens` of a text, so that nothing of them leaves. */
export function budgetsWith(
  { description: { layers, kvHeads } }: LoadedModel,
  taken: ArrayLike<number>,
  budget: number,
  tokens: number,
): number[][] {
  const budgets = Array.from({ length: layers }, () => new Array<number>(kvHeads).fill(tokens))
  for (const head of Array.from(taken)) budgets[Math.floor(head / kvHeads)][head % kvHeads] = budget
  return budgets
}

export function compressed(model: LoadedModel, { policy, budget, rows }: Compression): Taking {
  return {
    heads: 'kv',
    unit: 'tokens',
    about: { take: 'compress', policy: String(policy), budget, rows },
    work: (ids, sets) => ids.length + sets.length * rows,
    run(ids, sets, put, call) {
      const budgets = sets.map(({ heads }) => budgetsWith(model, heads, budget, ids.length))
      return damageOfBudgets(model, { policy, rows }, ids, budgets, put, call)
    },
  }
}

/**
 * put(i, damage) for each of `choices` as it comes: budgets of kv heads, or one for all, that `policy` is given after a text's prompt. The prompt
 * is read once. Progress counts tokens: those of the text, and for each choice the last `rows`.
 */
export async function damageOfBudgets(
  model: LoadedModel,
  { policy, rows }: Pick<Compression, 'policy' | 'rows'>,
  ids: Int32Array,
  choices: readonly Budgets[],
  put: (choice: number, damage: Damage) => void,
  { signal, progress }: Call,
): Promise<void> {
  const [prompt, tail] = [ids.slice(0, -rows), ids.slice(-rows)]
  const total = ids.length + choices.length * rows
  let done = 0
  const reading = Reading.create(model, { policy: fullCache(), storage: STORAGE, forkable: 'all' })
  try {
    await reading.feed(prompt, {
      signal,
      progress: (fed) => progress?.({ done: Math.floor((prompt.length * fed.done) / fed.total), total }),
    })
    done = prompt.length
    const base: Float32Array[] = []
    const read = (count: number) => progress?.({ done: (done += count), total })
    const together = Math.max(1, Math.min(SIDE_BY_SIDE, Math.floor(MOST_BYTES / reading.cache.bytes().total)))
    for (let from = 0; from < choices.length || !from; from += together) {
      const some = choices.slice(from, from + together)
      const asked = some.map((budgets) => ({ policy, budgets }))
      const taken = some.length ? await reading.underPolicies(asked, NOTHING_KEPT, { signal }) : []
      if (!from) taken.push(await reading.copied())
      const sums = some.map((): Damage => ({ kl: 0, loss: 0 }))
      await eachRow(taken, tail, { signal, progress: read }, (each, at) => {
        if (!from) base.push(each[some.length])
        for (const [i, damage] of sums.entries()) {
          const row = each[i]
          const { kl, logSumP, logSumQ } = native().compareLogits(model.engine.native, base[at], row)
          damage.kl += kl
          const next = tail[at + 1]
          if (next !== undefined) damage.loss += base[at][next] - logSumP - (row[next] - logSumQ)
        }
      })
      for (const [i, { kl, loss }] of sums.entries()) put(from + i, { kl: kl / rows, loss: loss / (rows - 1) })
    }
  } finally {
    reading.dispose()
  }
}

/** Reads `tail` token by token, all readings side by side → a row of logits of each; the readings are over then. */
async function eachRow(
  readings: readonly Reading[],
  tail: Int32Array,
  { signal, progress }: Pick<Call, 'signal'> & { progress(rows: number): void | Promise<void> | undefined },
  row: (logits: readonly Float32Array[], at: number) => void,
): Promise<void> {
  try {
    for (const [at, id] of tail.entries()) {
      const feed = (i: number, together: Together) => readings[i].feed(Int32Array.of(id), { signal, together })
      allOf(await sideBySide(readings[0].model.native, readings.length, feed))
      row(
        readings.map((reading) => reading.lastLogits()),
        at,
      )
      await progress(readings.length)
    }
  } finally {
    for (const reading of readings) reading.dispose()
  }
}
