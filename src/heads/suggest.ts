/** Budgets by head from a measure, with what they were made of. */
import { shown, ZslabError } from '../errors.js'
import { oneOf, options as checkedOptions, text } from '../expect.js'
import { budgetsText } from '../show/importance-text.js'
import { showsItself } from '../show/show.js'
import { replaceFile } from '../trace/files/replace.js'
import type { ImportanceFacts } from './facts.js'
import { adakv, FLOOR, headkv, proportional, type AllocationOptions } from './allocation.js'
import { greedy, type MeasuredCurves } from './greedy.js'

export const RULES = ['proportional', 'headkv', 'adakv', 'greedy'] as const
export type BudgetRule = (typeof RULES)[number]

/** What budgets need of what was measured. */
interface Measured {
  heads: number
  kvHeads: number
  card: ImportanceFacts['card']
  curves: MeasuredCurves | null
  of(name: string): { values: readonly Float64Array[] }
}

export interface SuggestOptions extends AllocationOptions {
  /** One measure of those that were asked for; the more, the more slots. */
  by: string
  /** proportional (default), headkv, adakv, or greedy, which is of the curves of budgetCurve: formulas at Importance.suggestBudgets(). */
  rule?: BudgetRule
}

export class SuggestedBudgets {
  /** @internal */
  constructor(
    /** [layers][kvHeads]: slots, or shares of the first prompt where `total` is below 1. For session({ policy, budgets }). */
    readonly budgets: readonly (readonly number[])[],
    readonly by: string,
    readonly rule: BudgetRule,
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
    await replaceFile(path, 'the budgets', [JSON.stringify(this, undefined, 2), '\n'])
  }
}

showsItself(SuggestedBudgets.prototype, budgetsText)

/** See Importance.suggestBudgets(). */
export function suggestBudgets(importance: Measured, given: SuggestOptions): SuggestedBudgets {
  checkedOptions('suggestBudgets', given, ['by', 'rule', 'total', 'floor'])
  const { values } = importance.of(text('by', given.by))
  const rule = given.rule === undefined ? 'proportional' : oneOf('rule', given.rule, RULES)
  const group = importance.heads / importance.kvHeads
  const budgets = {
    proportional: () => proportional(largestOf(values, group), given),
    headkv: () => headkv(values, group, given),
    adakv: () => adakv(largestOf(values, group), given),
    greedy: () => greedy(curvesFor(given.by, importance), given),
  }[rule]()
  return new SuggestedBudgets(budgets, given.by, rule, given.total, given.floor ?? FLOOR, importance.card)
}

function curvesFor(by: string, { curves }: Measured): MeasuredCurves {
  if (by === 'budgetCurve' && curves) return curves
  throw new ZslabError(
    'invalid',
    `greedy budgets come of curves, and ${shown(by)} has one number a head: give by: 'budgetCurve', measured with headImportance(model, texts, { by: ['budgetCurve'], policy }), or another rule`,
  )
}

const largestOf = (rows: readonly Float64Array[], group: number) =>
  rows.map((row) =>
    Float64Array.from({ length: row.length / group }, (_, kv) =>
      Math.max(...row.subarray(kv * group, (kv + 1) * group)),
    ),
  )
