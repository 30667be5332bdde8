/** Damage of query heads whose output is set to zero: all sets of a text in one call, which shares what lies below the first change. */
import type { LoadedModel } from '../loaded-model.js'
import { native } from '../native/binding.js'
import { withCall, type Progress } from '../native/call.js'
import { CHANGES } from '../native/heads.js'
import type { HeadSet, Taking } from './damage.js'

export function ablated(model: LoadedModel, rows: number): Taking {
  const { layers, heads: each } = model.description
  const first = ({ heads }: HeadSet) => Math.floor(heads[0] / each)
  return {
    heads: 'query',
    unit: 'layers',
    about: { take: 'ablate', rows },
    work: (_, sets) => sets.reduce((sum, set) => sum + layers - first(set), layers),
    async run(ids, sets, put, call) {
      const starts = [0]
      for (const { heads } of sets) starts.push(starts[starts.length - 1] + heads.length)
      const [kl, losses] = [0, 0].map(() => new Float64Array(sets.length).fill(NaN))
      const baseLoss = new Float64Array(1)
      const done = new Set<number>()
      // Each as it comes, so that what was done is there whatever ends the rest.
      const collect = () =>
        sets.forEach((_, i) => {
          if (done.has(i) || Number.isNaN(kl[i])) return
          done.add(i)
          put(i, { kl: kl[i], loss: losses[i] - baseLoss[0] })
        })
      const progress = (counted: Progress) => {
        collect()
        return call.progress?.(counted)
      }
      try {
        await withCall({ signal: call.signal, progress }, (running) =>
          native().modelVary(
            model.native,
            {
              ids,
              rows: Math.min(rows, ids.length),
              starts,
              changes: sets.flatMap(({ heads }) =>
                Array.from(heads, (head) => ({
                  layer: Math.floor(head / each),
                  head: head % each,
                  kind: CHANGES.indexOf('zero'),
                  gate: 0,
                })),
              ),
              together: 0,
              kl,
              losses,
              baseLoss,
            },
            running,
          ),
        )
      } finally {
        collect()
      }
    },
  }
}
