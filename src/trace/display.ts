/** How a run shows itself in a notebook: its text, each token shaded by its probability, with timings and the receipt. */
import { counted, tapeText } from '../show/texts.js'
import type { RunRecord } from './run.js'

const escaped = (text: string) =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')

/** 12,345,678 → "12.3 MB" (MB = 10⁶ bytes). */
export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

/** One line each: how fast, how big, what held. */
export function summary(run: RunRecord): string[] {
  const { timings, bytes, receipt, policy, trace } = run
  const speed = timings.stepMs.length
    ? `${timings.tokenMs.toFixed(1)} ms per token (median), ${timings.tokensPerSecond.toFixed(1)} tokens/s`
    : 'no decode step'
  const reading = timings.prefillTokens
    ? `prompt of ${timings.prefillTokens} tokens in ${timings.prefillMs.toFixed(0)} ms`
    : 'nothing to read first'
  const share =
    bytes.fullCache > 0
      ? ` (${((100 * bytes.total) / bytes.fullCache).toFixed(0)}% of the full cache's keys and values, ${megabytes(bytes.fullCache)})`
      : ''
  return [
    `${run.tokens.length} tokens, ended by ${run.stopped}; ${reading}; ${speed}`,
    `${policy.name}: ${megabytes(bytes.total)} in the cache${share}`,
    ...(trace.bytes.events ? [`trace: ${counted(trace.bytes.events)} events, ${tapeText(trace.bytes)}`] : []),
    `receipt ${receipt.ok ? 'ok' : 'FAILED'}: ${receipt.notes.join('; ')}`,
  ]
}

/** Blue for tokens that the model was sure of to yellow for surprises; text stays dark on all of them (cividis, lightened). */
const SHADES = ['#dfe4ee', '#e6e6e6', '#efe9d2', '#f7edb5', '#fff199']

export function displayOf(run: RunRecord): Record<string, unknown> {
  const { tokenizer } = run.model
  const lines = summary(run)
  const stream = tokenizer.stream()
  const pieces = run.tokens.map((id, i) => {
    const text = stream.push(id) + (i === run.tokens.length - 1 ? stream.end() : '')
    const probability = Math.exp(run.logprobs[i])
    const shade = SHADES[Math.min(4, Math.floor(-Math.log2(Math.max(probability, 1e-9)) / 1.5))]
    const title = `token ${id}, probability ${probability.toPrecision(3)}`
    return `<span style="background:${shade};color:#111" title="${escaped(title)}">${escaped(text)}</span>`
  })
  const facts = lines.map((line) => `<div>${escaped(line)}</div>`).join('')
  return {
    'text/plain': [run.text, '', ...lines].join('\n'),
    'text/html':
      `<div style="white-space:pre-wrap;font-family:serif;line-height:1.6">${pieces.join('')}</div>` +
      `<div style="font-size:85%;opacity:.75;margin-top:.5em" title="shading: probability of each token, from blue (sure) to yellow (below 2%)">${facts}</div>`,
  }
}
