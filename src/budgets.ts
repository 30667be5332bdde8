/** Budgets by head: what a user gives for budgets, checked against a cache's shape. */
import { invalid } from './expect.js'
import { shareOrCount } from './policies/options.js'

/** [layers][kvHeads]: slots (≥ 1), or shares of the first prompt (< 1), instead of the policy's budget. */
export type Budgets = readonly (readonly number[])[]

/** Errors: 'invalid' naming the layer and head. */
export function budgetsOf(value: unknown, layers: number, kvHeads: number): Budgets {
  const shape = `an array [${layers} layers][${kvHeads} kv heads] of slots or shares`
  if (!Array.isArray(value) || value.length !== layers) throw invalid('budgets', shape, value)
  return value.map((row: unknown, layer) => {
    const heads = Array.isArray(row) || ArrayBuffer.isView(row) ? Array.from(row as ArrayLike<unknown>) : []
    if (heads.length !== kvHeads) throw invalid(`budgets[${layer}]`, `${kvHeads} numbers, one a kv head`, row)
    return heads.map((one, kvHead) => {
      const name = `budgets[${layer}][${kvHead}]`
      if (one === 0) throw invalid(name, 'a share above 0 or a count of slots', one)
      return shareOrCount(name, one)
    })
  })
}
