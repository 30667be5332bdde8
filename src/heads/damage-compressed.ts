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
import { NOTHING_KEPT } from '../trace/level.js'
import type { Damage, Taking } from './damage.js'

export interface Compression {
  policy: Policy
  /** Slots of a kv head that is taken, or share of the prompt. */
  budget: number
  /** The last so many of a text count. */
  rows: number
}

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
  const read = () => progress?.({ done: ++done, total })
  const reading = Reading.create(model, { policy: fullCache(), storage: STORAGE, forkable: 'all' })
  try {
    await reading.feed(prompt, {
      signal,
      progress: (fed) => progress?.({ done: Math.floor((prompt.length * fed.done) / fed.total), total }),
    })
    done = prompt.length
    const base: Float32Array[] = []
    const untouched = await reading.copied()
    await eachRow(untouched, tail, { signal, progress: read }, (row) => base.push(row))
    for (const [i, budgets] of choices.entries()) {
      const [taken] = await reading.underPolicies([{ policy, budgets }], NOTHING_KEPT, { signal })
      const sums: Damage = { kl: 0, loss: 0 }
      await eachRow(taken, tail, { signal, progress: read }, (row, at) => {
        const { kl, logSumP, logSumQ } = native().compareLogits(model.engine.native, base[at], row)
        sums.kl += kl
        const next = tail[at + 1]
        if (next !== undefined) sums.loss += base[at][next] - logSumP - (row[next] - logSumQ)
      })
      put(i, { kl: sums.kl / rows, loss: sums.loss / (rows - 1) })
    }
  } finally {
    reading.dispose()
  }
}

/** Reads `tail` token by token → its rows of logits; the reading is over then. */
async function eachRow(
  reading: Reading,
  tail: Int32Array,
  { signal, progress }: Pick<Call, 'signal'> & { progress(): void | Promise<void> | undefined },
  row: (logits: Float32Array, at: number) => void,
): Promise<void> {
  try {
    for (const [at, id] of tail.entries()) {
      await reading.feed(Int32Array.of(id), { signal })
      row(reading.lastLogits(), at)
      await progress()
    }
  } finally {
    reading.dispose()
  }
}
