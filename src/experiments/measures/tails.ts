/** The last tokens of a text, predicted one by one: what a policy loses there, beside the full cache. */
import { integer, invalid, oneOf, options as checked } from '../../expect.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import { readTails } from '../../tails.js'
import type { Measuring, Metric } from './measuring.js'

export interface TailsMeasure {
  kind: 'tails'
  /** The last so many tokens of a prompt (≥ 2) are predicted one by one, as generating does; what comes before is read at once. */
  rows: number
  /** How keys and values are kept. */
  storage: Storage
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

export function measureTails(measure: TailsMeasure): Measuring {
  checked('measure', measure, ['kind', 'rows', 'storage'])
  const rows = integer('measure.rows', measure.rows, 2)
  const storage = oneOf('measure.storage', measure.storage, STORAGES)
  return {
    metrics: METRICS,
    work({ name, ids }) {
      if (ids.length <= rows) throw invalid(`the prompt ${name}`, `more than the ${rows} tokens that count`, ids.length)
      return { read: ids.length - rows, each: rows }
    },
    run: (model, { ids }, asked, put, call) =>
      readTails(model, { ids, rows, storage }, asked, (i, tail, reading) => put(i, { ...tail }, reading), call),
  }
}
