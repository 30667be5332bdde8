/** Sentences that several figures share. */
import type { RunData } from './data.js'
import { counted, percent, plainNumber } from './scale.js'

/** 'zsmerge with 300 slots per kv head (10% of 3,000 prompt tokens)'. */
export function policyWords(data: RunData): string {
  const { budget } = data.resolved
  if (budget === 0) return `${data.policyName}, every token kept`
  const share = data.promptTokens > 0 ? budget / data.promptTokens : 1
  const of = counted(data.promptTokens, 'prompt token')
  const least = share <= 1 ? ` (${percent(share)} of ${of})` : ` (the prompt has ${of})`
  return `${data.policyName} with ${plainNumber(budget)} slots per kv head${least}`
}

export const subjectWords = (data: RunData) => `${shortModel(data.model)} · ${policyWords(data)}`

/** The file's name without path and ending. */
export const shortModel = (model: string) => model.replace(/^.*[\\/]/, '').replace(/\.(gguf|safetensors)$/i, '')
