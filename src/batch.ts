/** Sessions of one model that go on together: the weights are read once for many of them, and each has the bits that it has alone. */
import { callOptions, integer, invalid } from './expect.js'
import { ZslabError } from './errors.js'
import type { Prompt } from './generate/conversation.js'
import type { Company, GenerateOptions } from './generate/generate.js'
import { score, type Score, type ScoreOptions } from './generate/score.js'
import { checkStarted } from './interventions.js'
import { usable, type LoadedModel, type TextOrIds } from './loaded-model.js'
import { withBar } from './long-work.js'
import type { Call, CallOptions, Progress } from './native/call.js'
import { bar, interruptible } from './progress.js'
import type { Feeding, Reading } from './reading.js'
import { showsItself } from './show/show.js'
import { batchText } from './show/texts.js'
import { sideBySide, Together } from './together.js'

/** What one session generates: options as of session.generate(), and its prompt. */
export interface GenerateEach extends Omit<GenerateOptions, 'progress'> {
  /** Left out, the session goes on from where it stands. */
  prompt?: Prompt
  /** Counts of this session; the bar is that of all. */
  progress?: Exclude<GenerateOptions['progress'], boolean>
}

interface Batched<G> {
  readonly reading: Reading
  generateBeside(prompt: Prompt | undefined, options: GenerateOptions, company: Company): G
  dispose(): void
}

export class SessionBatch<S extends Batched<G>, G extends PromiseLike<unknown>> {
  /** In order; what is asked of them and what they give is in this order, too. */
  readonly sessions: readonly S[]

  /** @internal */
  constructor(
    private readonly model: LoadedModel,
    sessions: readonly S[],
    isSession: (one: S) => boolean,
  ) {
    usable(model)
    if (!Array.isArray(sessions) || !sessions.length)
      throw invalid('sessions', 'an array of sessions of this model, at least one', sessions)
    sessions.forEach((one: S, i) => {
      const name = `sessions[${i}]`
      if (!isSession(one)) throw invalid(name, 'a session of this model', one)
      if (one.reading.model !== model)
        throw new ZslabError(
          'invalid',
          `${name} is of ${one.reading.model.name} as it was loaded another time, not of this model: a batch shares one model's weights`,
        )
      if (one.reading.disposed)
        throw new ZslabError('invalid', `${name} was disposed: make a new one with model.session()`)
      const first = sessions.indexOf(one)
      if (first < i)
        throw new ZslabError(
          'invalid',
          `${name} is sessions[${first}]: give each session once, or a fork() of it for another continuation`,
        )
    })
    this.sessions = [...sessions]
  }

  /**
   * Feeds each session one token, ids in their order → for each the logits that follow it [vocabulary], or the Error that it met: it is then
   * as it was, and the others have gone on. Errors: 'invalid' for ids that are not as many token ids.
   */
  async step(ids: ArrayLike<number>, options: CallOptions = {}): Promise<(Float32Array | Error)[]> {
    callOptions('step options', options)
    const { sessions } = this
    const { vocabulary } = this.model.description
    if (typeof ids !== 'object' || ids === null || ids.length !== sessions.length)
      throw invalid('ids', `${sessions.length} token ids, one for each session in order`, ids)
    const checked = Array.from(ids, (id, i) => integer(`ids[${i}]`, id, 0, vocabulary - 1))
    return this.each('stepping', 'sessions', options, async (reading, i, call) => {
      checkStarted(reading.seqLen)
      await reading.feed(Int32Array.of(checked[i]), { ...call, progress: undefined })
      await call.progress?.({ done: 1, total: 1 })
      return reading.lastLogits().slice()
    })
  }

  /**
   * Log-probabilities as of session.score(): `texts` in the order of the sessions, or one that all of them are given → for each its score, or
   * the Error that it met.
   */
  async score(texts: TextOrIds | readonly TextOrIds[], options: ScoreOptions = {}): Promise<(Score | Error)[]> {
    callOptions('score options', options, ['chunk', 'prompt'])
    const several = Array.isArray(texts) && texts.some((one) => typeof one !== 'number')
    if (several && texts.length !== this.sessions.length)
      throw invalid('texts', `${this.sessions.length} texts, one for each session in order, or one for all`, texts)
    const { chunk, prompt } = options
    return this.each('scoring', 'tokens', options, (reading, i, call) =>
      score(reading, reading.idsOf((several ? texts[i] : texts) as TextOrIds), { chunk, prompt, ...call }),
    )
  }

  /**
   * All of them generate, `each` in their order or the same for all: prompts are read one after another, tokens are written together, and who has
   * ended is not waited for. → for each what session.generate() returns: a stream of its tokens and a promise of its run, which fails alone.
   * `all`: the signal stops all within 100 ms, before each run is made up; the progress counts tokens of all.
   */
  generate(each: GenerateEach | readonly GenerateEach[] = {}, all: CallOptions = {}): G[] {
    callOptions('generate, for all', all)
    const { sessions } = this
    const list: readonly GenerateEach[] = Array.isArray(each) ? each : sessions.map(() => each as GenerateEach)
    if (list.length !== sessions.length)
      throw invalid('each', `options for ${sessions.length} sessions in order, or one object for all`, each)
    list.forEach((one, i) => {
      if (typeof Object(one).progress === 'boolean')
        throw invalid(`each[${i}].progress`, 'a function', one.progress, 'the bar is that of all: give it beside each')
    })
    const together = new Together(this.model.native, sessions.length)
    const counts = new Counts(sessions.length)
    const drawn = bar('writing', all.progress === undefined || all.progress === true, 'tokens')
    const told = typeof all.progress === 'function' ? all.progress : undefined
    const tell = told ?? (({ done, total }: Progress) => drawn.update(done, total))
    const signal = interruptible(all.signal)
    const generations = sessions.map((session, i) => {
      const { prompt, ...options } = Object(list[i]) as GenerateEach
      const report: Company['report'] = (stage, done, total) => {
        if (stage === 'decode') tell(counts.with(i, done, total))
      }
      const generation = session.generateBeside(prompt, options, {
        together,
        signal,
        report,
        apart: told !== undefined,
      })
      const left = () => together.leave()
      generation.then(left, left)
      return generation
    })
    void Promise.allSettled(generations).then(() => drawn.stop())
    return generations
  }

  /** Frees the caches of all its sessions now (calls under way still end). */
  dispose(): void {
    for (const session of this.sessions) session.dispose()
  }

  /** work(reading) of each, together: what it gave or the error that it met. Progress adds up theirs. */
  private each<T>(
    doing: string,
    unit: string,
    options: CallOptions,
    work: (reading: Reading, i: number, call: Feeding) => Promise<T>,
  ): Promise<(T | Error)[]> {
    const native = this.model.native
    const go = async ({ signal, progress }: Call) => {
      const counts = new Counts(this.sessions.length)
      const ended = await sideBySide(native, this.sessions.length, (i, together) => {
        const { reading } = this.sessions[i]
        const own = progress && ((p: Progress) => progress(counts.with(i, p.done, p.total)))
        return reading.exclusively(() => work(reading, i, { signal, progress: own, together }))
      })
      return ended.map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error)))
    }
    return withBar(doing, options, go, unit)
  }
}

/** How far each of several is, added up. */
class Counts {
  private readonly done: number[]
  private readonly total: number[]

  constructor(count: number) {
    this.done = new Array<number>(count).fill(0)
    this.total = new Array<number>(count).fill(0)
  }

  with(i: number, done: number, total: number): { done: number; total: number } {
    this.done[i] = done
    this.total[i] = total
    const sum = (all: readonly number[]) => all.reduce((a, b) => a + b)
    return { done: sum(this.done), total: sum(this.total) }
  }
}

showsItself(SessionBatch.prototype, batchText)
