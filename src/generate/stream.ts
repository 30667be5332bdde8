/** A stream of tokens that is also the promise of what they came to. */
import { showsItself } from '../show/show.js'
import { streamText } from '../show/texts.js'

export interface Token {
  id: number
  /** Text that this token made certain; stop strings never show. */
  text: string
  /** Natural logarithm of its probability under the model, before temperature. */
  logprob: number
}

export class TokenStream<Result> implements PromiseLike<Result>, AsyncIterable<Token> {
  private readonly tokens: Token[] = []
  private readonly result: Promise<Result>
  private readonly leave = new AbortController()
  private ended = false
  private readers = 0
  private waiting: (() => void)[] = []

  /** `work` hands out tokens as they come and stops early when `left` is aborted. */
  constructor(work: (emit: (token: Token) => void, left: AbortSignal) => Promise<Result>) {
    const emit = (token: Token) => {
      this.tokens.push(token)
      this.wake()
    }
    this.result = work(emit, this.leave.signal).finally(() => {
      this.ended = true
      this.wake()
    })
    // Whoever only iterates hears of a failure there.
    this.result.catch(() => undefined)
  }

  /** Every reader that waits sees what is new. */
  private wake(): void {
    for (const go of this.waiting.splice(0)) go()
  }

  /** Tokens so far. @internal */
  get count(): number {
    return this.tokens.length
  }

  /** @internal */
  get over(): boolean {
    return this.ended
  }

  then<A = Result, B = never>(
    resolved?: ((result: Result) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result.then(resolved, rejected)
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<Result | B> {
    return this.result.catch(rejected)
  }

  finally(done?: (() => void) | null): Promise<Result> {
    return this.result.finally(done)
  }

  /** All tokens, as they come, for every reader. When the last reader leaves its loop early, the generation stops. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Token, void> {
    let at = 0
    this.readers++
    try {
      for (;;) {
        if (at < this.tokens.length) yield this.tokens[at++]
        else if (this.ended) break
        else await new Promise<void>((resolve) => this.waiting.push(resolve))
      }
      await this.result
    } finally {
      if (--this.readers === 0 && !this.ended) {
        this.leave.abort()
        await this.result.catch(() => undefined)
      }
    }
  }
}

showsItself(TokenStream.prototype, (stream) => streamText(stream.count, stream.over))
