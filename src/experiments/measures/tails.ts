/** The last tokens of a text, predicted one by one: what a policy loses there, beside the full cache. */
import { flag, integer, invalid, oneOf, options as checked } from '../../expect.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import { whyNoLocal } from '../../inspect/shadow.js'
import { readTails } from '../../tails.js'
import type { Measuring, Metric } from './measuring.js'

export interface TailsMeasure {
  kind: 'tails'
  /** The last so many tokens of a prompt (≥ 2) are predicted one by one, as generating does; what comes before is read at once. */
  rows: number
  /** How keys and values are kept. */
  storage: Storage
  /** Measures the heads' output error, too; default false. Policies that change keys or values as they come cannot be measured so. */
  outputError?: boolean
}

const METRICS: readonly Metric[] = [
  { name: 'kl', about: 'KL(full cache ‖ policy) of the predictions', unit: 'nats a token', better: 'less' },
  { name: 'change', about: 'log perplexity over the full cache’s', unit: 'nats a token', better: 'less' },
  { name: 'loss', about: 'log perplexity, mean −ln p of the next token', unit: 'nats a token', better: 'less' },
  {
    name: 'agreement',
    about: 'share of tokens where the likeliest is the full cache’s',
    unit: 'share',
    better: 'more',
  },
]

const OUTPUT_ERROR: Metric = {
  name: 'outputError',
  about:
    '‖o − o*‖/‖o*‖ of what heads give, beside what they would give with nothing removed; mean over tokens, layers and heads',
  unit: '1',
  better: 'less',
}

export function measureTails(measure: TailsMeasure): Measuring {
  checked('measure', measure, ['kind', 'rows', 'storage', 'outputError'])
  const outputError = measure.outputError === undefined ? false : flag('measure.outputError', measure.outputError)
  const rows = integer('measure.rows', measure.rows, 2)
  const storage = oneOf('measure.storage', measure.storage, STORAGES)
  return {
    metrics: outputError ? [...METRICS, OUTPUT_ERROR] : METRICS,
    ...(outputError && { whyNot: (model, { policy, budgets }) => whyNoLocal({ model, policy, budgets, storage }) }),
    work({ name, ids }) {
      if (ids.length <= rows) throw invalid(`the prompt ${name}`, `more than the ${rows} tokens that count`, ids.length)
      return { given: ids.length - rows, read: ids.length - rows, each: rows }
    },
    run: (model, { ids }, asked, put, call) =>
      readTails(
        model,
        { ids, rows, storage, outputError },
        asked,
        (i, tail, reading) => put(i, { ...tail }, reading),
        call,
      ),
  }
}
