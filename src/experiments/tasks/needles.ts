/** Several needles in a haystack: many keys of which some are asked about, keys with several values, or nothing but needles (the needle tasks of RULER, Hsieh et al. 2024, arXiv 2404.06654). */
import { ZslabError } from '../../errors.js'
import { integer, oneOf, options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { SECRETS, type Secret } from './draws.js'
import { filled, FILLERS, hidden } from './haystack.js'
import { asks, tells, type Fact } from './facts.js'
import { SIZED, sized, type SizedOptions } from './sized.js'

const AROUND = [...FILLERS, 'needles'] as const

export interface NeedlesOptions extends SizedOptions {
  /** What stands around: 'book' (default), 'noise', or 'needles': other keys with values of theirs. */
  filler?: (typeof AROUND)[number]
  /** What names a value; default 'word'. */
  key?: Secret
  /** What is to be said; default seven digits, 'number'. */
  value?: Secret
  /** Hidden, at depths that are drawn; default 4. */
  keys?: number
  /** Of each key; default 1. */
  values?: number
  /** Keys of a question, all of whose values are to be said; default 1. */
  asked?: number
  /** Questions about each context, each about other keys; default 1. */
  turns?: number
}

const COUNTS = ['keys', 'values', 'asked', 'turns'] as const

/** Prompts are so many of each length; each of a seed is a cluster of its own. Errors: 'invalid'. */
export function needles(options: NeedlesOptions = {}): Task {
  checked('needles', options, ['filler', 'key', 'value', ...COUNTS, ...SIZED])
  const filler = oneOf('filler', options.filler ?? 'book', AROUND)
  const key = oneOf('key', options.key ?? 'word', SECRETS)
  const value = oneOf('value', options.value ?? 'number', SECRETS)
  const [keys, values, asked, turns] = COUNTS.map((name) =>
    integer(name, options[name] ?? (name === 'keys' ? 4 : 1), 1, 100),
  )
  if (asked * turns > keys)
    throw new ZslabError(
      'invalid',
      `${turns} questions about ${asked} keys each need ${asked * turns} keys, but there are ${keys}: give more keys, or fewer asked or turns`,
    )
  const hides = `${keys} key${keys > 1 ? 's' : ''} with ${values > 1 ? `${values} values each` : 'a value'}`
  return sized(
    {
      call: 'needles',
      name: 'needles',
      about: `${hides} in ${filler === 'book' ? 'Moby Dick' : filler === 'noise' ? 'noise' : 'other keys'}, ${asked} asked about`,
      options: { filler, key, value, keys, values, asked, turns },
      tokens: Math.min(256, 24 + asked * values * (value === 'uuid' ? 40 : 12)),
      scores: ['all'],
      evidence: true,
      turns,
    },
    options,
    ({ model, draws, length }) => {
      const drawn = (): Fact => ({ key: draws.secret(key), value: draws.secret(value) })
      const facts = Array.from({ length: keys }, () => {
        const first = drawn()
        return [first, ...Array.from({ length: values - 1 }, () => ({ key: first.key, value: draws.secret(value) }))]
      })
      const all = facts.flat().map((fact) => ({ text: tells(fact, value), depth: draws.draw() }))
      const pieces = filler === 'needles' ? () => tells(drawn(), value) : filled(filler, draws.draw())
      const context = hidden(model, all, length, pieces)
      const questions = Array.from({ length: turns }, (_, turn) => {
        const wanted = facts.slice(turn * asked, (turn + 1) * asked)
        return asks(
          wanted.map(([fact]) => fact.key),
          wanted.flat().map((fact) => fact.value),
          value,
        )
      })
      return { context, questions, evidence: all.slice(0, turns * asked * values).map(({ text }) => text) }
    },
  )
}
