/**
 * Damage of kv heads whose cache is small: a text's beginning is the prompt, its last rows are read token by token as generating does, under a policy
 * that gives those heads a budget and the others room for everything.
 */
import type { LoadedModel } from '../loaded-model.js'
import type { Budgets } from '../budgets.js'
import type { Call } from '../native/call.js'
import type { Policy } from '../policies/index.js'
import { readTails } from '../tails.js'
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
export const damageOfBudgets = (
  model: LoadedModel,
  { policy, rows }: Pick<Compression, 'policy' | 'rows'>,
  ids: Int32Array,
  choices: readonly Budgets[],
  put: (choice: number, damage: Damage) => void,
  call: Call,
): Promise<void> =>
  readTails(
    model,
    { ids, rows, storage: STORAGE },
    choices.map((budgets) => ({ policy, budgets })),
    (choice, { kl, change }) => put(choice, { kl, loss: change }),
    call,
  )
