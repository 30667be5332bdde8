/** Random eviction: the baseline that every method must beat. */
import { integer } from '../expect.js'
import { budget, chunk, recent } from './options.js'
import { define, makePolicy, type Policy } from './policy.js'

export interface RandomOptions {
  /** Slots per kv head (≥ 1) or share of the first prompt's tokens (< 1). */
  budget: number
  /** Newest tokens, never candidates, the incoming one included: slots (≥ 1) or share of budget (< 1). */
  recent: number
  /** Of the draws: a token's depends on it, layer, kv head and position alone. */
  seed: number
  /** Tokens per chunk of a further turn (§5b). */
  chunk: number
}

export const definition = define<RandomOptions>({
  name: 'random',
  about: 'a uniformly random part of all tokens stays, at any time; each kv head draws its own',
  options: {
    budget,
    recent,
    seed: {
      about: 'of the draws',
      unit: 'whole number',
      flag: 'policy-seed',
      check: (value) => integer('seed', value, 0, Number.MAX_SAFE_INTEGER),
    },
    chunk,
  },
  presets: { '': { budget: 0.2, recent: 1, seed: 0, chunk: 256 } },
  parameters: { recent: ['float64', (o) => o.recent], seed: ['int64', (o) => o.seed] },
  citation: `@article{randomsampling,
  title = {Random Sampling with a Reservoir},
  author = {Vitter, Jeffrey S.},
  journal = {ACM Transactions on Mathematical Software},
  volume = {11},
  number = {1},
  pages = {37--57},
  year = {1985}
}`,
})

/** The same seed gives the same choices on every machine. */
export function random(options: Partial<RandomOptions> = {}): Policy {
  return makePolicy(definition, options)
}
