/** Calls of several sessions of one model, made at once: the weights are read once for many, and each has the bits that it has alone. */
import { native, type NativeCache, type NativeForward, type NativeModel } from './native/binding.js'
import { CALL_BYTES } from './native/contract.js'

interface Waiting {
  cache: NativeCache
  forward: NativeForward
  /** Over the bytes of a zs_call. */
  call: Int32Array
  ended(error?: unknown): void
}

/** Members that go on together: their calls are made as soon as each has one, or has left; as many in one as share a reading of the weights. */
export class Together {
  /** Until the others have a call, too. */
  private readonly waiting: Waiting[] = []
  /** Whose turn comes, and whose it is. */
  private readonly due: Waiting[] = []
  private under: readonly Waiting[] = []
  private whole: Int32Array | undefined

  constructor(
    private readonly model: NativeModel,
    private members: number,
  ) {}

  /** The call of one member, with the next of all others. Where `signal` is aborted it rejects: at once, or when the calls under way are over. */
  async forward(
    cache: NativeCache,
    forward: NativeForward,
    call: Int32Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    let abort = () => {}
    try {
      await new Promise<void>((resolve, reject) => {
        const ended = (error?: unknown) => (error === undefined ? resolve() : reject(error as Error))
        const one = { cache, forward, call, ended }
        abort = () => this.stop(one, signal)
        signal?.addEventListener('abort', abort)
        this.waiting.push(one)
        this.go()
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** One member less to wait for. */
  leave(): void {
    this.members--
    this.go()
  }

  private stop(one: Waiting, signal: AbortSignal | undefined): void {
    for (const list of [this.waiting, this.due]) {
      const at = list.indexOf(one)
      if (at < 0) continue
      list.splice(at, 1)
      one.ended(signal?.reason)
      return
    }
    // Nobody wants what is under way any more.
    if (this.whole && this.under.every(({ call }) => Atomics.load(call, 0))) Atomics.store(this.whole, 0, 1)
  }

  private go(): void {
    if (this.waiting.length && this.waiting.length === this.members) {
      this.due.push(...this.waiting.splice(0))
      void this.make()
    }
  }

  private async make(): Promise<void> {
    while (this.due.length) {
      const some = (this.under = this.due.splice(0, native().rowsTogether()))
      this.whole = new Int32Array(CALL_BYTES / Int32Array.BYTES_PER_ELEMENT)
      try {
        const errors = await native().modelForwardMany(this.model, some, this.whole)
        some.forEach(({ ended }, i) => ended(errors[i]))
      } catch (error) {
        some.forEach(({ ended }) => ended(error))
      }
    }
  }
}

/** work(i) for each of `count` members, all at once → how each ended, in order, when all have. */
export function sideBySide<T>(
  model: NativeModel,
  count: number,
  work: (i: number, together: Together) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  const together = new Together(model, count)
  const member = async (i: number) => {
    try {
      return await work(i, together)
    } finally {
      together.leave()
    }
  }
  return Promise.allSettled(Array.from({ length: count }, (_, i) => member(i)))
}

/** What all of them gave; what the first to fail threw. */
export function allOf<T>(ended: readonly PromiseSettledResult<T>[]): T[] {
  return ended.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
