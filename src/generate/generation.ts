/** session.generate(): a stream of tokens and the promise of a run, from one prompt on one session. */
import { flag, integer, invalid, options as checked } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { Message } from '../model/index.js'
import { bar, interruptible } from '../progress.js'
import { logProb, sampler, samplingOf, type Sampling, type SamplingOptions } from '../sampling.js'
import type { Session, TextOrIds } from '../session.js'
import { Run, type Stopped } from '../trace/run.js'
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

export interface Token {
  id: number
  /** Text that this token made certain; stop strings never show. */
  text: string
  /** Natural logarithm of its probability under the model, before temperature. */
  logprob: number
}

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

export class Generation implements PromiseLike<Run>, AsyncIterable<Token> {
  private readonly tokens: Token[] = []
  private readonly result: Promise<Run>
  private readonly leave = new AbortController()
  private ended = false
  private wake: () => void = () => undefined

  constructor(session: Session, prompt: Prompt | undefined, options: GenerateOptions) {
    // Options are checked at once, but reported by the promise, so that one catch is enough.
    const work = async () => {
      const settings = settingsOf(options)
      return session.exclusively(() => this.run(session, prompt, settings))
    }
    this.result = work().finally(() => {
      this.ended = true
      this.wake()
    })
    // Whoever only iterates hears of a failure there.
    this.result.catch(() => undefined)
  }

  then<A = Run, B = never>(
    resolved?: ((run: Run) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result.then(resolved, rejected)
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Run | B> {
    return this.result.catch(rejected)
  }

  finally(done?: (() => void) | null): Promise<Run> {
    return this.result.finally(done)
  }

  /** Tokens as they come. Leaving the loop early stops the generation. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Token, void> {
    let at = 0
    try {
      for (;;) {
        if (at < this.tokens.length) yield this.tokens[at++]
        else if (this.ended) break
        else await new Promise<void>((resolve) => (this.wake = resolve))
      }
      await this.result
    } finally {
      if (!this.ended) {
        this.leave.abort()
        await this.result.catch(() => undefined)
      }
    }
  }

  private async run(session: Session, prompt: Prompt | undefined, settings: Settings): Promise<Run> {
    const outer = interruptible(settings.signal)
    const signal = outer ? AbortSignal.any([outer, this.leave.signal]) : this.leave.signal
    const { ids, transcript, messages } = await promptOf(session, prompt)
    if (ids.length || session.seqLen === 0)
      session.checkLength(ids.length && ids.length + (session.current.unfed === undefined ? 0 : 1))
    const { tokenizer } = session.model
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
    let logStart = session.log.length
    try {
      if (ids.length || session.current.unfed !== undefined) {
        const progress = (p: { done: number; total: number }) => report('prefill', p.done, p.total)
        await session.feed(ids, { signal, progress })
      }
      prefillMs = performance.now() - started
      logStart = session.log.length - 1
      const pick = sampler(settings.sampling)
      while (!stopped) {
        const logits = session.lastLogits()
        const id = pick(logits)
        session.choose(id)
        const token = { id, text: output.push(id), logprob: logProb(logits, id) }
        chosen.push(token)
        if (tokenizer.ends.has(id) && !settings.ignoreEos) stopped = 'eos'
        else if (output.stopped) stopped = 'stop'
        else if (chosen.length >= settings.maxTokens) stopped = 'length'
        else if (session.seqLen >= session.model.description.context) stopped = 'context'
        if (stopped) token.text += output.end()
        this.emit(token)
        report('decode', chosen.length, settings.maxTokens)
        if (stopped) break
        const before = performance.now()
        await session.feed(new Int32Array(0), { signal })
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
      session.remember(transcript + answer, [...messages, { role: 'assistant', content: output.text }])
    }
    return Run.of(session, {
      prompt: Array.from(ids),
      tokens: chosen.map((token) => token.id),
      logprobs: Float64Array.from(chosen, (token) => token.logprob),
      text: output.text,
      stopped: stopped ?? 'length',
      sampling: settings.sampling,
      logStart,
      prefillMs,
      stepMs,
    })
  }

  private emit(token: Token): void {
    this.tokens.push(token)
    this.wake()
  }
}

/** The ids to read for `prompt`; for messages also what the conversation then looks like as text. */
async function promptOf(session: Session, prompt: Prompt | undefined) {
  const { messages: before, transcript: heard } = session.current
  if (prompt === undefined || (prompt === '' && session.seqLen > 0)) {
    if (session.seqLen === 0)
      throw new ZslabError('invalid', 'the session is empty: give generate() a prompt, or prefill one first')
    return { ids: new Int32Array(0), transcript: undefined, messages: before }
  }
  if (typeof prompt !== 'object' || prompt === null || !('messages' in prompt))
    return { ids: session.idsOf(prompt), transcript: undefined, messages: [] }
  checked('prompt', prompt, ['messages'])
  const rendered = (messages: readonly Message[]) => session.model.file.chat(messages)
  if (session.seqLen === 0) {
    const text = await rendered(prompt.messages)
    return { ids: session.idsOf(text), transcript: text, messages: prompt.messages }
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
  return { ids: session.idsOf(text.slice(heard.length)), transcript: text, messages }
}
