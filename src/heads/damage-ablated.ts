/** Damage of query heads whose output is set to zero: all sets of a text in one call, which shares what lies below the first change. */
import type { LoadedModel } from '../loaded-model.js'
import { CHANGES } from '../native/heads.js'
import type { HeadSet, Taking } from './damage.js'
import { vary } from './variants.js'

export function ablated(model: LoadedModel, rows: number): Taking {
  const { layers, heads: each } = model.description
  const first = ({ heads }: HeadSet) => Math.floor(heads[0] / each)
  const zeroed = (head: number) => ({
    layer: Math.floor(head / each),
    head: head % each,
    kind: CHANGES.indexOf('zero'),
    gate: 0,
  })
  return {
    heads: 'query',
    unit: 'layers',
    about: { take: 'ablate', rows },
    work: (_, sets) => sets.reduce((sum, set) => sum + layers - first(set), layers),
    run: (ids, sets, put, call) =>
      vary(
        model,
        { ids, rows },
        sets.map(({ heads }) => Array.from(heads, zeroed)),
        (i, { kl, loss, base }) => put(i, { kl, loss: loss - base }),
        call,
      ),
  }
}
