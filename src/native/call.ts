/** One long native call as JavaScript sees it: a shared zs_call that can be aborted and read while the call runs. */
import { CALL_BYTES } from './contract.js'

export interface Progress {
  done: number
  /** 0 = not known yet. */
  total: number
  /** What is under way, where it changes. */
  doing?: string
}

export interface CallOptions {
  /** Stops the call within 50 ms; it then rejects with the signal's reason and leaves its object as it was. */
  signal?: AbortSignal
  /** A function gets the counts; false: no bar is drawn. */
  progress?: boolean | ((progress: Progress) => void)
}

/** The same, with the bar or whoever counts as a function; loops wait for it. */
export interface Call {
  signal?: AbortSignal
  progress?: (progress: Progress) => void | Promise<void>
}

const PROGRESS_MS = 100

/** Runs `start` with the bytes of a zs_call, forwarding `signal` to it and its counters to `progress` (10 times a second). */
export async function withCall<T>(options: Call, start: (call: Int32Array) => Promise<T>): Promise<T> {
  const { signal, progress } = options
  signal?.throwIfAborted()
  const bytes = new ArrayBuffer(CALL_BYTES)
  const call = new Int32Array(bytes)
  const counters = new BigInt64Array(bytes, 8)
  const abort = () => Atomics.store(call, 0, 1)
  signal?.addEventListener('abort', abort)
  const timer = progress
    ? setInterval(() => void progress({ done: Number(counters[0]), total: Number(counters[1]) }), PROGRESS_MS)
    : undefined
  try {
    const result = await start(call)
    if (counters[1] > 0n) await progress?.({ done: Number(counters[0]), total: Number(counters[1]) })
    return result
  } catch (error) {
    if (signal?.aborted) signal.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    clearInterval(timer)
  }
}
