/** Sentences that several figures share. */
import { invalid } from '../expect.js'
import type { RunData } from './data.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'

/** 'zsmerge with 300 slots per kv head (10% of 3,000 prompt tokens)'. */
export function policyWords(data: RunData): string {
  const { budget } = data.resolved
  if (budget === 0) return `${data.policyName}, every token kept`
  const share = data.promptTokens > 0 ? budget / data.promptTokens : 1
  const of = counted(data.promptTokens, 'prompt token')
  const least =
    share <= 1 ? ` (${percent(share)} of ${of})` : ` (the prompt has ${counted(data.promptTokens, 'token')})`
  const each = data.resolved.heads?.flat().map((head) => head.budget)
  const range = each ? ` on average, ${plainNumber(Math.min(...each))} to ${plainNumber(Math.max(...each))},` : ''
  return `${data.policyName} with ${plainNumber(budget)} slots per kv head${range}${least}`
}

export const subjectWords = (data: RunData) => `${shortModel(data.model)} · ${policyWords(data)}`

/** The file's name without path and ending. */
export const shortModel = (model: string) => model.replace(/^.*[\\/]/, '').replace(/\.(gguf|safetensors)$/i, '')

/** A mean and the ends of its interval; null: there is none. */
export interface Interval {
  mean: number
  low: number | null
  high: number | null
}

/** ' [0.1, 0.3]', nothing where there is no interval. */
export const ends = ({ low, high }: Pick<Interval, 'low' | 'high'>, number: (value: number) => string = shortNumber) =>
  low === null || high === null ? '' : ` [${number(low)}, ${number(high)}]`

/** A level of a study's dimension. */
export const levelWords = (level: unknown) =>
  typeof level === 'number' && !Number.isInteger(level) ? shortNumber(level) : String(level)

/** 'a', 'a and b', 'a, b and c'. */
export const listed = (words: readonly string[]) =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`

/** What to call each of several runs: the user's words, else their own; equal ones are numbered. */
export function labelsOf(given: unknown, own: readonly string[]): string[] {
  if (given !== undefined) {
    const right = Array.isArray(given) && given.every((label) => typeof label === 'string' && label.trim() !== '')
    if (!right) throw invalid('labels', 'an array of words, one per run', given)
    if (given.length !== own.length) throw invalid('labels', `${own.length} labels, one per run`, given)
  }
  const labels = (given as string[] | undefined) ?? own
  return labels.map((label, i) =>
    labels.indexOf(label) === i && labels.lastIndexOf(label) === i ? label : `${label} (${i + 1})`,
  )
}
