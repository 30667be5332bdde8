/** Many changed readings of one text, all that they share read once (zs_model_vary). */
import type { LoadedModel } from '../loaded-model.js'
import { native } from '../native/binding.js'
import { withCall, type Call, type Progress } from '../native/call.js'
import type { NativeHeadChange } from '../native/heads.js'

/** Means over the rows that count; `loss` and `base` of −ln p of the next token, changed and unchanged. */
export interface Varied {
  kl: number
  loss: number
  base: number
}

/**
 * put(i, varied) for each of `variants`, the changes of one reading, as it comes: what was done is there whatever ends the rest. Of the last
 * `rows` of `ids` (all of a shorter text). Progress counts layers: the model's, and of each variant those from its first change on.
 */
export async function vary(
  model: LoadedModel,
  { ids, rows }: { ids: Int32Array; rows: number },
  variants: readonly (readonly NativeHeadChange[])[],
  put: (variant: number, varied: Varied) => void,
  call: Call,
): Promise<void> {
  const starts = [0]
  for (const changes of variants) starts.push(starts[starts.length - 1] + changes.length)
  const [kl, losses] = [0, 0].map(() => new Float64Array(variants.length).fill(NaN))
  const baseLoss = new Float64Array(1)
  const done = new Set<number>()
  const collect = () =>
    kl.forEach((found, i) => {
      if (done.has(i) || Number.isNaN(found)) return
      done.add(i)
      put(i, { kl: found, loss: losses[i], base: baseLoss[0] })
    })
  const progress = (counted: Progress) => {
    collect()
    return call.progress?.(counted)
  }
  try {
    await withCall({ signal: call.signal, progress }, (running) =>
      native().modelVary(
        model.native,
        { ids, rows: Math.min(rows, ids.length), starts, changes: variants.flat(), together: 0, kl, losses, baseLoss },
        running,
      ),
    )
  } finally {
    collect()
  }
}
