/** Key-value retrieval: a JSON object of identifiers; which value has a key? (Liu et al. 2023, arXiv 2307.03172; Retr.KV of SCBench) */
import { integer, oneOf, options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { SECRETS, type Secret } from './draws.js'
import { hidden } from './haystack.js'
import { SIZED, sized, type SizedOptions } from './sized.js'

export interface KeyValuesOptions extends SizedOptions {
  /** Default 'uuid'. */
  key?: Secret
  /** Default 'uuid'. */
  value?: Secret
  /** Questions about each object, each about another key; default 1. */
  turns?: number
}

/** Prompts are so many of each length; each of a seed is a cluster of its own. Errors: 'invalid'. */
export function keyValues(options: KeyValuesOptions = {}): Task {
  checked('keyValues', options, ['key', 'value', 'turns', ...SIZED])
  const key = oneOf('key', options.key ?? 'uuid', SECRETS)
  const value = oneOf('value', options.value ?? 'uuid', SECRETS)
  const turns = integer('turns', options.turns ?? 1, 1, 100)
  return sized(
    {
      call: 'keyValues',
      name: 'key-value retrieval',
      about: `a JSON object, ${key}s with ${value}s; the value of a key is asked`,
      options: { key, value, turns },
      tokens: value === 'uuid' ? 64 : 24,
      scores: ['contains'],
      evidence: true,
      turns,
    },
    options,
    ({ model, draws, length }) => {
      const pair = () => ({ key: draws.secret(key), value: draws.secret(value) })
      const line = (of: ReturnType<typeof pair>) => `"${of.key}": "${of.value}",`
      const wanted = Array.from({ length: turns }, pair)
      const lines = wanted.map((one) => ({ text: line(one), depth: draws.draw() }))
      const rows = hidden(model, lines, length, () => line(pair()), '\n')
      return {
        context: `{\n${rows.slice(0, -1)}\n}`,
        questions: wanted.map((one) => ({
          question: `Which value has the key "${one.key}" in the JSON object above?`,
          answers: [one.value],
          begin: `"${one.key}": "`,
        })),
        evidence: wanted.map((one) => line(one).slice(0, -1)),
      }
    },
  )
}
