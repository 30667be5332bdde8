/** Variable tracking: chains of assignments hidden in noise; which variables have a value in the end? (RULER, Hsieh et al. 2024, arXiv 2404.06654; MultiHop of SCBench) */
import { integer, oneOf, options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { filled, FILLERS, hidden, type Filler } from './haystack.js'
import { SIZED, sized, type SizedOptions } from './sized.js'

export interface VariableTrackingOptions extends SizedOptions {
  /** Of assignments, of which one is asked about in each turn; default 1. */
  chains?: number
  /** Assignments of a chain after its first; default 4. */
  hops?: number
  /** What stands around: 'noise' (default) or 'book'. */
  filler?: Filler
  /** Questions about each context, each about another chain; default 1. */
  turns?: number
}

const LETTERS = 5

/** Prompts are so many of each length; each of a seed is a cluster of its own. Errors: 'invalid'. */
export function variableTracking(options: VariableTrackingOptions = {}): Task {
  checked('variableTracking', options, ['chains', 'hops', 'filler', 'turns', ...SIZED])
  const filler = oneOf('filler', options.filler ?? 'noise', FILLERS)
  const hops = integer('hops', options.hops ?? 4, 1, 100)
  const turns = integer('turns', options.turns ?? 1, 1, 100)
  const chains = integer('chains', options.chains ?? turns, turns, 100)
  return sized(
    {
      call: 'variableTracking',
      name: 'variable tracking',
      about: `${chains} chain${chains > 1 ? 's' : ''} of ${hops + 1} assignments in ${filler === 'book' ? 'Moby Dick' : 'noise'}; the variables of one are asked`,
      options: { chains, hops, filler, turns },
      tokens: 16 + 6 * (hops + 1),
      scores: ['all'],
      evidence: true,
      turns,
    },
    options,
    ({ model, draws, length }) => {
      const made = Array.from({ length: chains }, () => {
        const value = String(10_000 + draws.below(90_000))
        const names = Array.from({ length: hops + 1 }, () => draws.letters(LETTERS))
        const lines = names.map((name, i) => (i ? `VAR ${name} = VAR ${names[i - 1]}.` : `VAR ${name} = ${value}.`))
        // In the order of the chain.
        const depths = lines.map(() => draws.draw()).sort((a, b) => a - b)
        return { value, names, lines: lines.map((text, i) => ({ text, depth: depths[i] })) }
      })
      const asked = made.slice(0, turns)
      return {
        context: hidden(
          model,
          made.flatMap(({ lines }) => lines),
          length,
          filled(filler, draws.draw()),
        ),
        questions: asked.map(({ value, names }) => ({
          question: `Variables are assigned in the text above. Which ${names.length} variables have the value ${value}, directly or by others?`,
          answers: names,
          begin: `The variables that have the value ${value} are`,
        })),
        evidence: asked.flatMap(({ lines }) => lines.map(({ text }) => text)),
      }
    },
  )
}
