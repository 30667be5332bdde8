/** Needle in a haystack: one fact at a depth of a long text; can the model say it? (Kamradt 2023) */
import { oneOf, options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { SECRETS, type Secret } from './draws.js'
import { filled, FILLERS, hidden, type Filler } from './haystack.js'
import { asks, tells } from './facts.js'
import { atDepths, DEPTHS, type DepthOptions } from './sized.js'

export interface NeedleOptions extends DepthOptions {
  /** What stands around: 'book' (default), sentences of Moby Dick; 'noise', a few that say nothing, again and again. */
  filler?: Filler
  /** What is to be said: seven digits ('number', default), a 'word' or a 'uuid'. */
  value?: Secret
}

/** Prompts are every length at every depth; each of a seed is a cluster of its own. Errors: 'invalid'. */
export function needle(options: NeedleOptions = {}): Task {
  checked('needle', options, ['filler', 'value', ...DEPTHS])
  const filler = oneOf('filler', options.filler ?? 'book', FILLERS)
  const value = oneOf('value', options.value ?? 'number', SECRETS)
  return atDepths(
    {
      call: 'needle',
      name: 'needle',
      about: `a ${value} at a depth of ${filler === 'book' ? 'Moby Dick' : 'noise'}`,
      options: { filler, value },
      tokens: 48,
      scores: ['all'],
      evidence: true,
    },
    options,
    ({ model, draws, length, where: depth }) => {
      const fact = { key: draws.secret('word'), value: draws.secret(value) }
      const text = tells(fact, value)
      const context = hidden(model, [{ text, depth }], length, filled(filler, draws.draw()))
      return { context, questions: [asks([fact.key], [fact.value], value)], evidence: [text] }
    },
  )
}
