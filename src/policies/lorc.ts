/** LoRC: every token stays, as latents along the directions that the model's key and value projections mostly use. */
import { integer, invalid, number } from '../expect.js'
import { chunk } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface LorcValues {
  /** Dims of a head that the layer that keeps most keeps: a count (≥ 2), a share below 1 of headDim, or 'full'. */
  rank: 'full' | number
  /** The same of the layer that keeps least; 0: what `keep` asks for, or beside ramp 'flat'. */
  leastRank: number
  /** Share of all keys' and values' numbers that is kept, instead of leastRank, which follows from it; 0: not asked for. */
  keep: number
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

const RAMPS = ['progressive', 'inverse', 'flat'] as const

function dims(name: string, value: unknown, zero: boolean): number {
  if (zero && value === 0) return 0
  if (typeof value === 'number' && value > 0 && value < 1) return value
  if (typeof value !== 'number') throw invalid(name, 'a share below 1 of headDim, or a count of dims', value)
  return integer(name, value, 2, 512)
}

const RAMPED: LorcValues = { rank: 'full', leastRank: 0.5, keep: 0, chunk: 256 }

export const definition = define<LorcValues>({
  name: 'lorc',
  about:
    'every token stays, in fewer dims: along the directions that the key and value projections use most (arXiv 2410.03111)',
  preset: 'ramp',
  options: {
    rank: {
      about: 'dims of a head that are kept, in the layer that keeps most',
      unit: 'full | dims, or share of headDim',
      check: (value) => (value === 'full' ? value : dims('rank', value, false)),
    },
    leastRank: {
      about: 'the same in the layer that keeps least; 0 where keep or ramp flat says it',
      unit: 'dims, or share of headDim',
      check: (value) => dims('leastRank', value, true),
    },
    keep: {
      about: "share of all keys' and values' numbers that is kept, instead of leastRank",
      unit: 'share',
      check: (value) => number('keep', value, 0, 1 - Number.EPSILON, 'from 0 to below 1'),
    },
    chunk,
  },
  presets: { progressive: RAMPED, inverse: RAMPED, flat: { ...RAMPED, rank: 0.5, leastRank: 0 } },
  parameters: {
    rank: ['float64', (o) => (o.rank === 'full' ? 0 : o.rank)],
    leastRank: ['float64', (o) => (o.keep > 0 ? 0 : o.leastRank)],
    keep: ['float64', (o) => o.keep],
    ramp: ['int32', (_, ramp) => RAMPS.indexOf(ramp as 'flat')],
  },
  refuse: ({ leastRank, keep }, { ramp, ...given }) => {
    for (const [name, value] of Object.entries({ leastRank, keep }))
      if (ramp === 'flat' && value !== 0)
        throw invalid(name, "0 beside ramp 'flat', under which all layers keep rank", value, 'say it by rank')
    if (ramp === 'flat') return
    if (keep !== 0 && given.leastRank !== undefined && leastRank !== 0)
      throw invalid('keep', 'leastRank or keep', keep, 'each follows from the other: leave one out')
    if (keep === 0 && leastRank === 0)
      throw invalid('leastRank', 'a rank above 0, or keep', leastRank, 'say how much the layers keep')
  },
  citation: `@article{lorc,
  title = {{LoRC}: Low-Rank Compression for {LLMs} {KV} Cache with a Progressive Compression Strategy},
  author = {Zhang, Rongzhi and Wang, Kuang and Liu, Liyuan and Wang, Shuohang and Cheng, Hao and Zhang, Chao and Shen, Yelong},
  journal = {arXiv preprint arXiv:2410.03111},
  year = {2024}
}`,
})

export interface LorcOptions extends Partial<LorcValues> {
  /**
   * How rank falls from layer to layer, linear in the sum of log condition numbers from a layer to the last: 'progressive' (default) from
   * rank in the first to leastRank in the last, 'inverse' the other way round, 'flat' rank everywhere.
   */
  ramp?: (typeof RAMPS)[number]
}

/**
 * k = W x: a key is kept as its rank parts along the left singular vectors of W with the largest singular values, before rotation, and made
 * again as it is read; values alike, by theirs. The first attention of a token sees what is kept of it. Each kv head has a decomposition of
 * its own (granularity head; the paper cuts a layer's heads as one matrix, which is not built). Ranks are whole pairs. A layer's condition
 * number is the product of its heads', their least singular values taken for no less than 10⁻⁶ of the largest. As far as the method is
 * known: its text was not at hand and no code is public, so ramp and condition numbers are from memory of the field. Memory: rank numbers,
 * of values whole 16s, a token, and 2 · rank · headDim float32 a kv head, which are counted as bookkeeping. Being data-free it cuts
 * what the weights use least, not what texts do: a model of few kv heads may lose much of its likelihood at the first dims. createCache() needs
 * `projections` and `rotation`; models whose keys are normalised between projection and rotation (QK norm) are not of this form.
 */
export function lorc(options: LorcOptions = {}): Policy {
  return makePolicy(definition, options)
}
