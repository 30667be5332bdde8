/** What the prompt's last queries gave, as far as they could see, beside what slots would have given them: the equations of the oracles. */
import type { Breaks } from './breaks.js'
import { logitsOf, logSumExp, probsOf, weighted, type Centroid, type ReadSlot } from './head.js'
import { Equations } from './least-squares.js'
import type { HeadVectors } from './vectors.js'

/** A row for each query of the last `rows` tokens of the prompt, all divided by the largest exp(q·k/√d) of their query. */
export interface Seen {
  /** [equations, slots | 1]: exp(q·c/√d) of what was seen of each slot | Σ exp(q·k/√d) of the tokens seen. */
  masses: Equations
  /** The same with each slot's first token alone. */
  firsts: Equations
  /** [equations, headDim] of attention, with nothing removed. */
  outputs: Float64Array
}

/**
 * A query at position p saw the tokens up to p: its mass and output are theirs, dropped ones included. Of a slot it saw n of its w members:
 * n/w of the slot's weight at the mean of their keys, or, with keys fixed, at the seed's (the first one's seen, where it did not see the
 * seed). So the count is exact for members that are alike, whoever sees how many of them.
 */
export async function seenByPrompt(
  vectors: HeadVectors,
  slots: readonly ReadSlot[],
  { keys, promptTokens, rows }: { keys?: Centroid; promptTokens: number; rows: number },
  breaks: Breaks,
): Promise<Seen> {
  const { headDim, group, firstQuery, queries } = vectors
  const equations = rows * group
  const masses = new Equations(equations, slots.length, 1)
  const firsts = new Equations(equations, slots.length, 1)
  const outputs = new Float64Array(equations * headDim)
  for (let i = 0; i < equations; i++) {
    if (breaks.due()) await breaks.take()
    const position = promptTokens - rows + Math.floor(i / group)
    const at = ((position - firstQuery) * group + (i % group)) * headDim
    const logits = logitsOf(queries.subarray(at, at + headDim), vectors.keys, position + 1)
    const [top, lse] = [logits.reduce((a, b) => Math.max(a, b)), logSumExp(logits)]
    outputs.set(weighted(probsOf(logits, lse), vectors.values, headDim), i * headDim)
    const [mass, first] = [masses.row(i), firsts.row(i)]
    slots.forEach(({ origins, seed = origins[0] }, slot) => {
      const [one] = origins
      if (one <= position) first[slot] = Math.exp(logits[one] - top)
      if (origins.length === 1) return void (mass[slot] = first[slot])
      let [seen, sum] = [0, 0]
      for (const origin of origins) {
        if (origin > position) continue
        seen++
        sum += logits[origin]
      }
      if (!seen) return
      const logit = keys === 'fixed' ? logits[seedSeen(origins, seed, position)] : sum / seen
      mass[slot] = (seen / origins.length) * Math.exp(logit - top)
    })
    mass[slots.length] = first[slots.length] = Math.exp(lse - top)
  }
  return { masses, firsts, outputs }
}

const seedSeen = (origins: readonly number[], seed: number, position: number): number =>
  seed <= position ? seed : origins.find((origin) => origin <= position)!
