/** One reading of a prompt under the full cache, and forks of it under many policies, some at a time. */
import type { LoadedModel } from './loaded-model.js'
import type { Asked } from './native-cache.js'
import type { Call } from './native/call.js'
import type { Storage } from './native/engine.js'
import { fullCache } from './policies/index.js'
import { Reading } from './reading.js'
import { allOf, sideBySide, type Together } from './together.js'
import { NOTHING_KEPT, type Kept } from './trace/level.js'

/** Forks that go on together, at most: as many caches are held, and no more than this takes if nothing leaves any of them. */
const SIDE_BY_SIDE = 24
const MOST_BYTES = 1e9

/**
 * work(from, forks, full, whole) for the forks under asked[from], asked[from + 1] …, which live until it returns; `full` comes with the first of them: the
 * full cache, also where nothing is asked. `whole` has read the prompt and is left as it is. `trace`: what forks keep; default nothing. Progress: tokens of the prompt.
 */
export async function eachForks(
  model: LoadedModel,
  { ids, storage, trace = NOTHING_KEPT }: { ids: Int32Array; storage: Storage; trace?: Kept },
  asked: readonly Asked[],
  { signal, progress }: Call,
  work: (from: number, forks: readonly Reading[], full: Reading | undefined, whole: Reading) => Promise<void>,
): Promise<void> {
  const whole = Reading.create(model, { policy: fullCache(), storage, forkable: 'all' })
  try {
    await whole.feed(ids, {
      signal,
      progress: (fed) => progress?.({ done: Math.floor((ids.length * fed.done) / fed.total), total: ids.length }),
    })
    const together = Math.max(1, Math.min(SIDE_BY_SIDE, Math.floor(MOST_BYTES / whole.cache.bytes().total)))
    for (let from = 0; from < asked.length || !from; from += together) {
      const some = asked.slice(from, from + together)
      const forks = some.length ? await whole.underPolicies(some, trace, { signal }) : []
      let full: Reading | undefined
      try {
        full = from ? undefined : await whole.copied()
        await work(from, forks, full, whole)
      } finally {
        for (const reading of [...forks, full]) reading?.dispose()
      }
    }
  } finally {
    whole.dispose()
  }
}

/** ids(i) for the i-th of `readings`, all side by side. */
export async function feedTogether(
  readings: readonly Reading[],
  ids: (i: number) => Int32Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const feed = (i: number, together: Together) => readings[i].feed(ids(i), { signal, together })
  allOf(await sideBySide(readings[0].model.native, readings.length, feed))
}
