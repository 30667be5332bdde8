/** What takes part in the model's bench: whoever reads prompts and decodes greedily, ours among them. */
import type { Model, Policy, Session } from '../../src/index.js'

export interface Peer {
  /** Reads `ids` from an empty cache → ms. */
  prompt(ids: Int32Array): Promise<number>
  /** Decodes `count` tokens → ms of each. The first after a pause also pays for what the pause did; leave it out. */
  decode(count: number): Promise<number[]>
  dispose(): Promise<void>
}

/**
 * ms: wall time; with one thread the process's own CPU time, which neighbours on a shared machine do not lengthen (a peer whose
 * threads wait for each other loses far more to them than its share of the machine).
 */
export function clock(threads: number): number {
  if (threads > 1) return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** A session of ours. */
export class Ours implements Peer {
  private next = 0
  private session: Session
  constructor(
    private readonly model: Model,
    private readonly threads: number,
    private readonly policy?: Policy,
  ) {
    this.session = model.session({ policy })
  }

  async prompt(ids: Int32Array): Promise<number> {
    this.session.dispose()
    this.session = this.model.session({ policy: this.policy })
    const from = clock(this.threads)
    this.next = best(await this.session.prefill(ids, { progress: false }))
    return clock(this.threads) - from
  }

  async decode(count: number): Promise<number[]> {
    const ms: number[] = []
    while (ms.length < count) {
      const from = clock(this.threads)
      this.next = best(await this.session.step(this.next))
      ms.push(clock(this.threads) - from)
    }
    return ms
  }

  async dispose(): Promise<void> {
    this.session.dispose()
  }
}

/** The place of the largest number. */
export function best(logits: Float32Array): number {
  let at = 0
  for (let i = 1; i < logits.length; ++i) if (logits[i] > logits[at]) at = i
  return at
}
