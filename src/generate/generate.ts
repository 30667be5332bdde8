/** session.generate(): from one prompt on one reading to tokens, and what a run is made of. */
import { callOptions, flag, integer } from '../expect.js'
import { guarded } from '../long-work.js'
import { bar, eitherSignal, interruptible } from '../progress.js'
import { logProb, sampler, samplingOf, type Sampling, type SamplingOptions } from '../sampling.js'
import type { Reading } from '../reading.js'
import type { Together } from '../together.js'
import { tapePlan } from '../show/texts.js'
import { checkRoomFor } from '../trace/room.js'
import type { Generated, Stopped } from '../trace/run.js'
import { NOTHING, turnOf, type Prompt } from './conversation.js'
import type { Token } from './stream.js'
import { OutputText, stopsOf } from './text.js'

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

/** Others that go on beside it. */
export interface Company {
  together: Together
  /** Of all of them. */
  signal: AbortSignal | undefined
  report(stage: 'prefill' | 'decode', done: number, total: number): void
  /** What `report` runs is a function of the user's. */
  apart: boolean
}

const NAMES = ['maxTokens', 'temperature', 'topK', 'topP', 'minP', 'seed', 'stop', 'ignoreEos']
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
  callOptions('generate', options, NAMES)
  return {
    sampling: samplingOf(options),
    maxTokens: options.maxTokens === undefined ? MAX_TOKENS : integer('maxTokens', options.maxTokens, 1),
    stops: stopsOf(options.stop),
    ignoreEos: options.ignoreEos === undefined ? false : flag('ignoreEos', options.ignoreEos),
    signal: options.signal,
    progress: options.progress,
  }
}

/** Checks `options` now; what it returns generates, handing out tokens as they come until they end or `left` is aborted. */
export function generate(reading: Reading, prompt: Prompt | undefined, options: GenerateOptions, company?: Company) {
  const settings = settingsOf(options)
  return (emit: (token: Token) => void, left: AbortSignal) => run(reading, prompt, settings, emit, left, company)
}

/** Of `tokens` those that the context has room for. */
const fitting = ({ policy, model, seqLen }: Reading, tokens: number) =>
  policy.endless ? tokens : Math.min(tokens, Math.max(0, model.description.context - seqLen))

async function run(
  reading: Reading,
  prompt: Prompt | undefined,
  settings: Settings,
  emit: (token: Token) => void,
  left: AbortSignal,
  company: Company | undefined,
): Promise<Generated> {
  const outer = eitherSignal(interruptible(settings.signal), company?.signal)
  const together = company?.together
  const turn = await turnOf(reading, prompt)
  const { ids } = turn
  const { tokenizer } = reading.model
  const unfed = turn.instead ? undefined : reading.current.unfed
  if (ids.length || unfed !== undefined || reading.seqLen === 0) reading.checkLength(ids.length, unfed)
  checkRoomFor(reading, ids.length + (unfed === undefined ? 0 : 1), settings.maxTokens - 1)
  const output = new OutputText(tokenizer, settings.stops)
  const beside = tapePlan(reading.cache.tapeBytes(fitting(reading, ids.length + settings.maxTokens)))
  const own = typeof settings.progress === 'function' ? settings.progress : undefined
  const drawn = bar('reading', !company && (settings.progress === undefined || settings.progress === true), 'tokens')
  const told = guarded(
    (stage: 'prefill' | 'decode', done: number, total: number) => {
      company?.report(stage, done, total)
      if (own) own({ stage, done, total })
      else drawn.update(done, total, (stage === 'prefill' ? 'reading' : 'writing') + beside)
    },
    eitherSignal(outer, left),
    own !== undefined || company?.apart === true,
  )
  const { signal, report } = told
  const chosen: Token[] = []
  const stepMs: number[] = []
  const started = performance.now()
  let prefillMs = 0
  let stopped: Stopped | undefined
  let logStart = reading.log.length
  let read = false
  /** Characters of the answer before the last token. */
  let said = 0
  const seen = reading.seqLen
  try {
    reading.choose(unfed)
    if (ids.length || unfed !== undefined) {
      const progress = (p: { done: number; total: number }) => report('prefill', p.done, p.total)
      await reading.feed(ids, { signal, progress, together })
    }
    read = true
    prefillMs = performance.now() - started
    logStart = reading.log.length - 1
    const pick = sampler(settings.sampling)
    while (!stopped) {
      const logits = reading.lastLogits()
      const id = pick(logits)
      reading.choose(id)
      said = output.text.length
      const token = { id, text: output.push(id), logprob: logProb(logits, id) }
      chosen.push(token)
      if (turn.ends.has(id) && !settings.ignoreEos) stopped = 'eos'
      else if (output.stopped) stopped = 'stop'
      else if (chosen.length >= settings.maxTokens) stopped = 'length'
      else if (reading.full) stopped = 'context'
      if (stopped) token.text += output.end()
      emit(token)
      await report('decode', chosen.length, settings.maxTokens)
      if (stopped) break
      const before = performance.now()
      await reading.feed(new Int32Array(0), { signal, together })
      stepMs.push(performance.now() - before)
    }
    told.thrown.throwIfAborted()
  } catch (error) {
    if (told.thrown.aborted || !signal.aborted) throw error
    stopped = 'aborted'
  } finally {
    drawn.stop()
    output.end()
    const unread = read ? NOTHING : ids.slice(Math.max(0, reading.seqLen - seen - (unfed === undefined ? 0 : 1)))
    // A turn of which nothing was read did not take place.
    if (turn.conversation && (read || unread.length < ids.length)) {
      const { answer, complete } = turn.conversation
      const last = chosen.at(-1)
      reading.remember({
        ...turn.conversation,
        answer: answer + output.text,
        // A control token adds nothing, though bytes that it leaves incomplete become text only now.
        complete: last ? tokenizer.isSpecial(last.id) || output.text.length <= said : complete,
        unread,
      })
    }
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
