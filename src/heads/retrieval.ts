/** Retrieval heads: who copies a needle out of a text, by the definition in the paper, by its released code, and by HeadKV's second rule. */
import { ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import { fullCache } from '../policies/index.js'
import type { Progress } from '../native/call.js'
import { Reading } from '../reading.js'
import { argmax, generator } from '../sampling.js'
import { eachMarked, watched, type Measure, type Probe, type Work } from './measure.js'

/** Words of a needle. */
const WORDS = 8
const LEADING = ' The secret words are'
/** Share of the needle that an answer has to repeat for its text to count. */
const ENOUGH = 0.5
/** Tokens that needle and question take beside the text: at most. */
const ROOM = 64

const of = (name: string, formula: string, most: number, source: string, differs: string): Measure => ({
  name,
  formula: `needle: ${WORDS} random words after "${LEADING.trim()}", in the middle of the text; the same lead-in at its end, then as many tokens as the needle has, the likeliest each; texts of which at least half the needle was repeated count. ${formula}`,
  unit: 'share',
  least: 0,
  most,
  source,
  differs,
  kv: 'max',
  leastTokens: 2,
  mostTokens: (context) => context - ROOM,
})

const OTHERS = 'needles and questions of its own, over many lengths and depths; ROUGE-1 recall of the answer above 0.5'
const WU = 'Wu et al., arXiv 2404.15574'

const MEASURES: readonly Measure[] = [
  of(
    'retrieval',
    'Share of the needle’s tokens that were written while the head gave most to that token',
    1,
    WU,
    `a token that is copied twice counts twice there (retrievalCode); ${OTHERS}`,
  ),
  of(
    'retrievalCode',
    'For each token written that equals the one which the head gives most to, inside the needle: 1 / needle’s tokens',
    Infinity,
    `${WU}, as its code has it`,
    OTHERS,
  ),
  of(
    'retrievalR2',
    'For each token written: what the head gives to those of its k likeliest positions that lie in the needle, / k, k the needle’s tokens',
    1,
    'HeadKV-R2, arXiv 2410.19258, as its code has it',
    'needles with distractors and a reasoning question',
  ),
]

/** What a head has by each rule: rows [written, tokens], row i the one that token i was chosen from; the needle is at [from, to) of `ids`. */
export function retrieved(
  rows: Float32Array,
  ids: ArrayLike<number>,
  written: ArrayLike<number>,
  from: number,
  to: number,
): Record<string, number> {
  const tokens = rows.length / written.length
  const k = to - from
  const copied = new Set<number>()
  let [code, r2] = [0, 0]
  for (let i = 0; i < written.length; i++) {
    const row = rows.subarray(i * tokens, (i + 1) * tokens)
    // The lowest of equal ones.
    const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b)
    const [top] = order
    if (top >= from && top < to && ids[top] === written[i]) {
      copied.add(top)
      code += 1 / k
    }
    for (const s of order.slice(0, k)) if (s >= from && s < to) r2 += row[s] / k
  }
  return { retrieval: copied.size / k, retrievalCode: code, retrievalR2: r2 }
}

/** A text to be continued by the needle that stands at [from, to) of it. */
export interface Needle {
  ids: Int32Array
  from: number
  to: number
}

/** A text with a needle in its middle and the lead-in at its end. */
export function needleIn(model: LoadedModel, text: Int32Array, seed: number): Needle {
  const { tokenizer, description } = model
  const draw = generator(seed)
  const words = new Set<number>()
  // Whole words as far as the vocabulary tells; any tokens where it has none.
  for (let tries = 0; words.size < WORDS; tries++) {
    const id = Math.floor(draw() * description.vocabulary)
    if (tries > 20_000 || /^ [a-z]{4,}$/.test(tokenizer.decode([id]))) words.add(id)
  }
  const lead = tokenizer.encode(LEADING, { special: false })
  const stop = tokenizer.encode('.', { special: false })
  const middle = text.length >> 1
  const ids = [...text.slice(0, middle), ...lead]
  const from = ids.length
  ids.push(...words)
  const to = ids.length
  ids.push(...stop, ...text.slice(middle), ...lead)
  return { ids: Int32Array.from(ids), from, to }
}

/** The likeliest continuation, and of each wanted head the rows that its tokens were chosen from: [heads, written, tokens]. */
export async function answered(
  work: Pick<Work, 'model' | 'marks' | 'call'>,
  { ids, from, to }: Needle,
): Promise<{ answer: number[]; ids: Int32Array; rows: () => Promise<Float32Array> }> {
  const answer = await written(work, ids, to - from)
  const all = Int32Array.from([...ids, ...answer.slice(0, -1)])
  const rows = async () => {
    const count = work.marks.reduce((sum, marked) => sum + marked, 0)
    const made = new Float32Array(count * answer.length * all.length)
    const { layers } = work.model.description
    const progress = ({ done }: Progress) => work.call.progress?.({ done: layers + done, total: 2 * layers })
    await watched({ ...work, call: { signal: work.call.signal, progress } }, all, {
      rows: made,
      firstRow: ids.length - 1,
      rowCount: answer.length,
    })
    return made
  }
  return { answer, ids: all, rows }
}

async function written(
  { model, call }: Pick<Work, 'model' | 'call'>,
  ids: Int32Array,
  count: number,
): Promise<number[]> {
  const reading = Reading.create(model, { policy: fullCache(), storage: 'float32' })
  try {
    const made: number[] = []
    const { layers } = model.description
    const progress = ({ done, total }: Progress) =>
      call.progress?.({ done: Math.floor((layers * done) / total), total: 2 * layers })
    await reading.feed(ids, { signal: call.signal, progress })
    for (;;) {
      made.push(argmax(reading.lastLogits()))
      if (made.length === count) return made
      await reading.feed(Int32Array.of(made[made.length - 1]), { signal: call.signal })
    }
  } finally {
    reading.dispose()
  }
}

export const retrieval = (): Probe => ({
  name: 'retrieval',
  measures: MEASURES,
  seeded: true,
  more: () => ({ recall: 1 }),
  about: ({ seed }) => ({ seed }),
  // The text and the answer, then both at once for the rows.
  layers: ({ model }) => 2 * model.description.layers,
  async run(work: Work) {
    const { model, marks, values, seed } = work
    const needle = needleIn(model, work.ids, seed)
    const { from, to } = needle
    const { answer, ids, rows } = await answered(work, needle)
    const recalled = answer.filter((id) => ids.subarray(from, to).includes(id))
    const recall = new Set(recalled).size / (to - from)
    work.more.set('recall', Float64Array.of(recall))
    if (recall < ENOUGH) return
    const all = await rows()
    const each = answer.length * ids.length
    eachMarked(marks, (head, i) => {
      const own = all.subarray(i * each, (i + 1) * each)
      for (const [name, value] of Object.entries(retrieved(own, ids, answer, from, to))) {
        const into = values.get(name)
        if (into) into[head] = value
      }
    })
  },
  pooled(works) {
    const best = Math.max(...works.map(({ more }) => more.get('recall')![0]))
    if (best >= ENOUGH) return undefined
    const texts = `${works.length} text${works.length === 1 ? '' : 's'}`
    throw new ZslabError(
      'invalid',
      `the model repeated half of the needle in none of the ${texts} (${(100 * best).toFixed(0)}% at best), and retrieval is of those where it does: give other texts or another model, or leave retrieval out`,
    )
  },
})
