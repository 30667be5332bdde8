/** How long a policy takes, alone: to read a prompt, and to write after it. */
import { integer, oneOf, options as checked } from '../../expect.js'
import type { LoadedModel } from '../../loaded-model.js'
import type { Asked } from '../../native-cache.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import { fullCache } from '../../policies/index.js'
import { Reading } from '../../reading.js'
import { argmax } from '../../sampling.js'
import { medianOf } from '../../statistics/moments.js'
import type { Measuring, Metric } from './measuring.js'

export interface TimesMeasure {
  kind: 'times'
  /** Tokens that are written after a prompt. */
  steps: number
  /** How keys and values are kept. */
  storage: Storage
}

const METRICS: readonly Metric[] = [
  { name: 'decode', about: 'time of a token that is written, median', unit: 'ms', better: 'less' },
  { name: 'prompt', about: 'time of the prompt, until the first token can be chosen', unit: 'ms', better: 'less' },
  {
    name: 'gain',
    about: 'the full cache’s time of a token over the policy’s, on the same prompt',
    unit: '1',
    better: 'more',
  },
]

export function measureTimes(measure: TimesMeasure): Measuring {
  checked('measure', measure, ['kind', 'steps', 'storage'])
  const steps = integer('measure.steps', measure.steps, 3)
  const storage = oneOf('measure.storage', measure.storage, STORAGES)
  return {
    metrics: METRICS,
    // Each policy reads the prompt itself.
    work: ({ ids }) => ({ given: ids.length, read: 0, each: ids.length + steps }),
    async run(model, { ids }, asked, put, { signal, progress }) {
      const each = ids.length + steps
      const total = (asked.length + 1) * each
      const taken = async (one: Asked, at: number, done: (times: Times, reading: Reading) => void | Promise<void>) => {
        const reading = Reading.create(model, { policy: one.policy, budgets: one.budgets, storage })
        try {
          const read = (own: number) => progress?.({ done: at * each + own, total })
          await done(await timesOf(model, reading, ids, steps, signal, read), reading)
        } finally {
          reading.dispose()
        }
      }
      let full: Times | undefined
      await taken({ policy: fullCache(), budgets: undefined }, 0, (times) => void (full = times))
      for (const [i, one] of asked.entries())
        await taken(one, i + 1, (times, reading) =>
          put(i, {}, reading, { ...times, gain: full!.decode / times.decode }),
        )
    },
  }
}

interface Times {
  prompt: number
  decode: number
}

async function timesOf(
  { tokenizer }: LoadedModel,
  reading: Reading,
  ids: Int32Array,
  steps: number,
  signal: AbortSignal | undefined,
  progress: (done: number) => void | Promise<void> | undefined,
): Promise<Times> {
  const took = async (given: Int32Array) => {
    const began = performance.now()
    await reading.feed(given, { signal })
    return performance.now() - began
  }
  const prompt = await took(ids)
  const each: number[] = []
  for (let step = 0; step < steps; step++) {
    await progress(ids.length + step)
    const id = argmax(reading.lastLogits())
    // The text goes on, whatever the model thinks of its end.
    each.push(await took(Int32Array.of(tokenizer.ends.has(id) ? ids[step % ids.length] : id)))
  }
  await progress(ids.length + steps)
  return { prompt, decode: medianOf(each) }
}
