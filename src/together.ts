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

/** Members that go on together: their calls are made as soon as each has one, or has left. */
export class Together {
  private waiting = new Set<Waiting>()

  constructor(
    private readonly model: NativeModel,
    private members: number,
  ) {}

  /** The call of one member, with the next of all others. Where `signal` is aborted it rejects: at once, or once the calls under way are over. */
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
        abort = () => {
          if (this.waiting.delete(one)) ended(signal?.reason)
          else this.stopped()
        }
        signal?.addEventListener('abort', abort)
        this.waiting.add(one)
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

  /** Ends the calls under way where nobody wants them any more. */
  private stopped: () => void = () => {}

  private go(): void {
    if (!this.waiting.size || this.waiting.size < this.members) return
    const all = [...this.waiting]
    this.waiting.clear()
    const whole = new Int32Array(CALL_BYTES / Int32Array.BYTES_PER_ELEMENT)
    this.stopped = () => {
      if (all.every(({ call }) => Atomics.load(call, 0))) Atomics.store(whole, 0, 1)
    }
    native()
      .modelForwardMany(this.model, all, whole)
      .then(
        (errors) => all.forEach(({ ended }, i) => ended(errors[i])),
        (error: unknown) => all.forEach(({ ended }) => ended(error)),
      )
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
