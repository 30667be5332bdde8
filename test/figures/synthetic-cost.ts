/** Costs that nobody measured: steps of a made-up machine, with noise of a seed. */
import { breakEvenOf, Cost } from '../../src/experiments/cost.js'
import type { CostAt, CostPart, Part } from '../../src/experiments/cost-facts.js'
import { meanInterval } from '../../src/statistics/intervals.js'
import { random } from './synthetic.js'

interface CostMade {
  lengths?: readonly number[]
  turns?: number
  /** Milliseconds a step of each operation, and by 1,000 slots. */
  parts?: readonly (readonly [Part, number, number])[]
  prompts?: number
  noise?: number
  name?: string
}

const ZSMERGE: NonNullable<CostMade['parts']> = [
  ['attention', 0.02, 1.4],
  ['scores', 0.2, 0.1],
  ['choice', 0.1, 0.1],
  ['search', 0.12, 0],
  ['merge', 0.06, 0],
]

export function costMade({
  lengths = [512, 1024, 2048, 4096, 8192],
  turns = 8,
  parts = ZSMERGE,
  prompts = 3,
  noise = 0.25,
  name = 'zsmerge',
}: CostMade = {}): Cost {
  const next = random(9)
  const WEIGHTS = 145e6
  const saved: number[][] = []
  const made = lengths.map((length): CostAt => {
    const steps = (of: readonly (readonly [Part, number, number])[], slots: number) =>
      Array.from({ length: turns }, () =>
        of.map(([, base, each]) => base + (each * slots) / 1000 + noise * (next() - 0.5)),
      )
    const cache = (of: readonly (readonly [Part, number, number])[], slots: number) => {
      const all = [['model', 7.5, 0], ...of] as const
      const taken = steps(all, slots)
      const own = all.map(([part], i): CostPart => ({
        part,
        about: `of ${part}`,
        step: meanInterval(taken.map((turn) => turn[i])),
      }))
      const whole = taken.map((turn) => turn.reduce((sum, ms) => sum + ms, 0))
      return {
        whole,
        turns: taken,
        found: { policy: name, parts: own, step: meanInterval(whole), prompt: null, bytes: slots * 23_040 },
      }
    }
    const full = cache([['attention', 0.02, 1.4]], length)
    const own = cache(parts, 0.1 * length + 20)
    saved.push(full.whole.map((ms, turn) => ms - own.whole[turn]))
    const prompt = (times: number) =>
      meanInterval(Array.from({ length: prompts }, () => times * (length * 1.5 + 20 * next())))
    return {
      length,
      full: { ...full.found, prompt: prompts ? prompt(1) : null },
      policy: { ...own.found, prompt: prompts ? prompt(1.02) : null },
      upkeep:
        parts.length > 1 ? meanInterval(own.turns.map((turn) => turn.slice(2).reduce((sum, ms) => sum + ms, 0))) : null,
      gain: meanInterval(full.whole.map((ms, turn) => ms / own.whole[turn])),
      gainByBytes: (WEIGHTS + full.found.bytes) / (WEIGHTS + own.found.bytes),
      promptMore: prompts ? meanInterval(Array.from({ length: prompts }, () => 0.03 * length + 10 * next())) : null,
      tokens: prompts ? Math.ceil((0.03 * length + 5) / Math.max(0.01, 1.1 * (length / 1000) - 0.5)) : null,
    }
  })
  const facts = {
    name,
    policy: `${name}({ budget: 0.1 })`,
    storage: 'float16',
    steps: 8,
    turns,
    prompts,
    seed: 1,
    weights: WEIGHTS,
  }
  return new Cost(facts, made, breakEvenOf(lengths, saved), [])
}
