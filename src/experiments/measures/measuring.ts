/** What every way of measuring a prompt gives. */
import type { LoadedModel } from '../../loaded-model.js'
import type { Asked } from '../../native-cache.js'
import type { Call } from '../../native/call.js'
import type { Reading } from '../../reading.js'
import type { TaskPrompt } from '../prompt.js'

export interface Metric {
  name: string
  about: string
  unit: string
  better: 'less' | 'more'
}

export interface Measuring {
  /** The first is what a study is about unless another is asked for. */
  readonly metrics: readonly Metric[]
  /** What the full cache has to reach in the mean; below it the model cannot do the task, and what policies do there says nothing. */
  readonly able?: { metric: string; least: number }
  /**
   * Tokens that policies are given as a prompt, those that are read once for all of them, and those that each of them then takes. Errors: 'invalid' where
   * the prompt has not what is measured.
   */
  work(prompt: TaskPrompt): { given: number; read: number; each: number }
  /** Why a policy cannot be measured so; undefined: it can. */
  whyNot?(model: LoadedModel, asked: Asked): string | undefined
  /**
   * put(i, values by metric, reading, times by metric) for each of `asked` as it comes; the reading lives until put is over. The prompt is read once, where
   * no times are taken. Progress counts tokens: those read, and for the full cache and each policy its own.
   */
  run(
    model: LoadedModel,
    prompt: TaskPrompt,
    asked: readonly Asked[],
    put: (
      choice: number,
      values: Record<string, number>,
      reading: Reading,
      times?: Record<string, number>,
    ) => Promise<void>,
    call: Call,
  ): Promise<void>
}
