/** session.generate(): from one prompt on one reading to tokens, and what a run is made of. */
import { flag, integer, invalid, options as checked } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { Message } from '../model/index.js'
import { bar, interruptible } from '../progress.js'
import { logProb, sampler, samplingOf, type Sampling, type SamplingOptions } from '../sampling.js'
import type { Reading, TextOrIds } from '../reading.js'
import type { Generated, Stopped } from '../trace/run.js'
import type { Token } from './stream.js'
import { OutputText, stopsOf } from './text.js'

export type Prompt = TextOrIds | { messages: readonly Message[] }

export interface GenerateOptions extends SamplingOptions {
  /** At most so many tokens (default 256). */
  maxTokens?: number
  /** Ends when one of these appears; it is not part of the text. */
  stop?: string | string[]
  /** Go on after a token that ends a turn or text (default false: it is the last of `tokens`). */
  ignoreEos?: boolean
  /** Stops within 100 ms and keeps what there is: run.stopped is 'aborted'. */
  signal?: AbortSignal
  /** false: no bar; a function gets the counts instead. */
  progress?: boolean | ((progress: { stage: 'prefill' | 'decode'; done: number; total: number }) => void)
}

const NAMES = ['maxTokens', 'temperature', 'topK', 'topP', 'minP', 'seed', 'stop', 'ignoreEos', 'signal', 'progress']
const MAX_TOKENS = 256

interface Settings {
  sampling: Sampling
  maxTokens: number
  stops: string[]
  ignoreEos: boolean
  signal: AbortSignal | undefined
  progress: GenerateOptions['progress']
}

function settingsOf(options: GenerateOptions): Settings {
  checked('generate', options, NAMES)
  const { progress } = options
  if (progress !== undefined && typeof progress !== 'boolean' && typeof progress !== 'function')
    throw invalid('progress', 'true, false or a function', progress)
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal))
    throw invalid('signal', 'an AbortSignal', options.signal)
  return {
    sampling: samplingOf(options),
    maxTokens: options.maxTokens === undefined ? MAX_TOKENS : integer('maxTokens', options.maxTokens, 1),
    stops: stopsOf(options.stop),
    ignoreEos: options.ignoreEos === undefined ? false : flag('ignoreEos', options.ignoreEos),
    signal: options.signal,
    progress,
  }
}

/** Checks `options` now; what it returns generates, handing out tokens as they come until they end or `left` is aborted. */
export function generate(reading: Reading, prompt: Prompt | undefined, options: GenerateOptions) {
  const settings = settingsOf(options)
  return (emit: (token: Token) => void, left: AbortSignal) => run(reading, prompt, settings, emit, left)
}

async function run(
  reading: Reading,
  prompt: Prompt | undefined,
  settings: Settings,
  emit: (token: Token) => void,
  left: AbortSignal,
): Promise<Generated> {
  const outer = interruptible(settings.signal)
  const signal = outer ? AbortSignal.any([outer, left]) : left
  const { ids, transcript, messages } = await promptOf(reading, prompt)
  if (ids.length || reading.seqLen === 0)
    reading.checkLength(ids.length && ids.length + (reading.current.unfed === undefined ? 0 : 1))
  const { tokenizer } = reading.model
  const output = new OutputText(tokenizer.stream({ skipSpecial: true }), settings.stops)
  const drawn = bar('reading', settings.progress === undefined || settings.progress === true, 'tokens')
  const report = (stage: 'prefill' | 'decode', done: number, total: number) => {
    if (typeof settings.progress === 'function') settings.progress({ stage, done, total })
    else drawn.update(done, total, stage === 'prefill' ? 'reading' : 'writing')
  }
  const chosen: Token[] = []
  const stepMs: number[] = []
  const started = performance.now()
  let prefillMs = 0
  let stopped: Stopped | undefined
  let logStart = reading.log.length
  try {
    if (ids.length || reading.current.unfed !== undefined) {
      const progress = (p: { done: number; total: number }) => report('prefill', p.done, p.total)
      await reading.feed(ids, { signal, progress })
    }
    prefillMs = performance.now() - started
    logStart = reading.log.length - 1
    const pick = sampler(settings.sampling)
    while (!stopped) {
      const logits = reading.lastLogits()
      const id = pick(logits)
      reading.choose(id)
      const token = { id, text: output.push(id), logprob: logProb(logits, id) }
      chosen.push(token)
      if (tokenizer.ends.has(id) && !settings.ignoreEos) stopped = 'eos'
      else if (output.stopped) stopped = 'stop'
      else if (chosen.length >= settings.maxTokens) stopped = 'length'
      else if (reading.seqLen >= reading.model.description.context) stopped = 'context'
      if (stopped) token.text += output.end()
      emit(token)
      report('decode', chosen.length, settings.maxTokens)
      if (stopped) break
      const before = performance.now()
      await reading.feed(new Int32Array(0), { signal })
      stepMs.push(performance.now() - before)
    }
  } catch (error) {
    if (!signal.aborted) throw error
    stopped = 'aborted'
    output.end()
  } finally {
    drawn.stop()
  }
  if (transcript !== undefined) {
    const answer = tokenizer.decode(chosen.map((token) => token.id))
    reading.remember(transcript + answer, [...messages, { role: 'assistant', content: output.text }])
  }
  return {
    prompt: Array.from(ids),
    tokens: chosen.map((token) => token.id),
    logprobs: Float64Array.from(chosen, (token) => token.logprob),
    text: output.text,
    stopped: stopped ?? 'length',
    sampling: settings.sampling,
    logStart,
    prefillMs,
    stepMs,
  }
}

/** The ids to read for `prompt`; for messages also what the conversation then looks like as text. */
async function promptOf(reading: Reading, prompt: Prompt | undefined) {
  const { messages: before, transcript: heard } = reading.current
  if (prompt === undefined || (prompt === '' && reading.seqLen > 0)) {
    if (reading.seqLen === 0)
      throw new ZslabError('invalid', 'the session is empty: give generate() a prompt, or prefill one first')
    return { ids: new Int32Array(0), transcript: undefined, messages: before }
  }
  if (typeof prompt !== 'object' || prompt === null || !('messages' in prompt))
    return { ids: reading.idsOf(prompt), transcript: undefined, messages: [] }
  checked('prompt', prompt, ['messages'])
  const rendered = (messages: readonly Message[]) => reading.model.file.chat(messages)
  if (reading.seqLen === 0) {
    const text = await rendered(prompt.messages)
    return { ids: reading.idsOf(text), transcript: text, messages: prompt.messages }
  }
  if (heard === undefined)
    throw new ZslabError(
      'invalid',
      'messages need a session that is empty or whose turns so far were messages: append the text instead',
    )
  const messages = [...before, ...prompt.messages]
  const text = await rendered(messages)
  if (!text.startsWith(heard))
    throw new ZslabError(
      'unsupported',
      "the model's chat template rewrites earlier turns, so a further turn cannot be appended: start a new session with all messages",
    )
  return { ids: reading.idsOf(text.slice(heard.length)), transcript: text, messages }
}
