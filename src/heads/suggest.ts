/** Budgets by head from a measure, with what they were made of. */
import { writeFile } from 'node:fs/promises'
import { ZslabError } from '../errors.js'
import { invalid, oneOf, options as checkedOptions, text } from '../expect.js'
import { budgetsText } from '../show/importance-text.js'
import { showsItself } from '../show/show.js'
import type { ImportanceFacts } from './facts.js'
import { adakv, FLOOR, headkv, proportional, type AllocationOptions } from './allocation.js'

export const RULES = ['proportional', 'headkv', 'adakv'] as const
export type BudgetRule = (typeof RULES)[number]

/** What budgets need of what was measured. */
interface Measured {
  heads: number
  kvHeads: number
  card: ImportanceFacts['card']
  of(name: string): { values: readonly Float64Array[] }
}

export interface SuggestOptions extends AllocationOptions {
  /** One measure of those that were asked for; the more, the more slots. */
  by: string
  /** proportional (default), headkv or adakv: see allocation.ts for the formulas. Greedy budgets come of budgetCurves(). */
  rule?: BudgetRule
}

export class SuggestedBudgets {
  /** @internal */
  constructor(
    /** [layers][kvHeads]: slots, or shares of the first prompt where `total` is below 1. For session({ policy, budgets }). */
    readonly budgets: readonly (readonly number[])[],
    readonly by: string,
    /** greedy: from curves, see BudgetCurves. */
    readonly rule: BudgetRule | 'greedy',
    /** Mean of a kv head, as it was asked for. */
    readonly total: number,
    readonly floor: number,
    /** Of what was measured. */
    readonly card: ImportanceFacts['card'],
  ) {}

  toJSON(): Record<string, unknown> {
    const { budgets, by, rule, total, floor, card } = this
    return { format: 'zslab.budgets', version: 1, by, rule, total, floor, budgets, card }
  }

  /** Writes toJSON(). Errors: 'file' with the system's reason. */
  async save(path: string): Promise<void> {
    text('path', path)
    try {
      await writeFile(path, `${JSON.stringify(this, undefined, 2)}\n`)
    } catch (error) {
      throw new ZslabError('file', `cannot write ${path}: ${(error as Error).message}`)
    }
  }
}

showsItself(SuggestedBudgets.prototype, budgetsText)

/** Query heads' scores become kv heads' by their largest. Errors: 'invalid' naming the option or the head that has no score. */
export function suggestBudgets(importance: Measured, given: SuggestOptions): SuggestedBudgets {
  checkedOptions('suggestBudgets', given, ['by', 'rule', 'total', 'floor'])
  const { values } = importance.of(text('by', given.by))
  if ((given.rule as unknown) === 'greedy')
    throw invalid(
      'rule',
      RULES.map((name) => `'${name}'`).join(', '),
      'greedy',
      'greedy ones need curves: (await budgetCurves(model, { texts })).suggestBudgets({ total })',
    )
  const rule = given.rule === undefined ? 'proportional' : oneOf('rule', given.rule, RULES)
  const group = importance.heads / importance.kvHeads
  const budgets = {
    proportional: () => proportional(largestOf(values, group), given),
    headkv: () => headkv(values, group, given),
    adakv: () => adakv(largestOf(values, group), given),
  }[rule]()
  return new SuggestedBudgets(budgets, given.by, rule, given.total, given.floor ?? FLOOR, importance.card)
}

const largestOf = (rows: readonly Float64Array[], group: number) =>
  rows.map((row) =>
    Float64Array.from({ length: row.length / group }, (_, kv) =>
      Math.max(...row.subarray(kv * group, (kv + 1) * group)),
    ),
  )
