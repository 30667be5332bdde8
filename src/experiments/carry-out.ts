/** The trials of a study that are missing, done by one hand or several: what is done is kept at once, and what is asked from outside is heard. */
import { setMaxListeners } from 'node:events'
import { timeLeft } from '../long-work.js'
import type { Call, Progress } from '../native/call.js'
import { eitherSignal } from '../progress.js'
import type { Hand } from './hand.js'
import { jobOf, jobsOf, tokensOf, type Job, type Planned } from './jobs.js'
import type { Listener } from './listener.js'
import type { Measuring } from './measures/measuring.js'
import type { TrialStore } from './store.js'
import type { Trial } from './trial.js'

export interface Work {
  measuring: Measuring
  store: TrialStore
  planned: readonly Planned[]
  hands: readonly Hand[]
  listener: Listener
  /** After a trial is kept. */
  kept?(): void
  /** What is under way, when that changes and as tokens come. */
  told?(now: Now): void
}

export interface Now {
  tokens: Progress
  paused: boolean
  /** Names of prompts. */
  doing: readonly string[]
}

/** Errors: those of the first hand that fails; the others then end. */
export async function carryOut(work: Work, call: Call): Promise<void> {
  const failed = new AbortController()
  const signal = eitherSignal(eitherSignal(call.signal, work.listener.stop), failed.signal)
  if (signal) setMaxListeners(0, signal) // of every hand's waits and jobs
  const round = new Round(work, { ...call, signal })
  await round.report() // whoever asks sees it from the start, also where it waits at once
  await Promise.all(
    work.hands.map((hand) =>
      // The first ends the others; they are waited for.
      round.useful(hand).catch((error: unknown) => failed.abort(error)),
    ),
  )
  failed.signal.throwIfAborted()
  await round.report()
}

class Round {
  private readonly started = performance.now()
  /** Tokens of jobs that are over, and of those under way. */
  private over = 0
  private readonly under = new Map<Job, number>()
  /** Prompts that were handed out, and what was asked of the study then: only when something else is may they be due again. */
  private readonly given = new Map<Planned, object>()
  private total: number

  constructor(
    private readonly work: Work,
    private readonly call: Call,
  ) {
    this.total = this.left()
  }

  /** One job after another, until none is left. */
  async useful(hand: Hand): Promise<void> {
    const { work, call } = this
    for (;;) {
      call.signal?.throwIfAborted()
      await work.listener.go(call.signal)
      const job = this.take()
      if (!job) return
      const most = sum(tokensOf(work.measuring, [job]))
      this.under.set(job, 0)
      const progress = async ({ done }: Progress) => {
        this.under.set(job, Math.min(done, most))
        await this.report()
        await work.listener.go(call.signal)
      }
      try {
        await hand.do(job, (trial) => this.keep(trial), { signal: call.signal, progress })
      } finally {
        this.under.delete(job)
      }
      this.over += most
      await this.report()
    }
  }

  private async keep(trial: Trial): Promise<void> {
    await this.work.store.add(trial)
    this.work.kept?.()
  }

  private take(): Job | undefined {
    const { planned, store, listener } = this.work
    const busy = new Set(Array.from(this.under.keys(), ({ prompt }) => prompt))
    for (const one of planned) {
      if (this.given.get(one) === listener.wishes || busy.has(one.prompt)) continue
      const job = jobOf(one, store, listener.wishes.cancelled)
      if (!job) continue
      this.given.set(one, listener.wishes)
      return job
    }
    return undefined
  }

  private left(): number {
    const { measuring, planned, store, listener } = this.work
    return sum(tokensOf(measuring, jobsOf(planned, store, listener.wishes.cancelled)))
  }

  async report(): Promise<void> {
    const { work, call } = this
    const { paused } = work.listener.wishes
    const done = this.over + [...this.under.values()].reduce((before, own) => before + own, 0)
    const total = Math.max(this.total, done)
    const tokens = { done, total, doing: paused ? 'paused,' : `studying${timeLeft(this.started, done, total)},` }
    work.told?.({ tokens, paused, doing: Array.from(this.under.keys(), ({ facts }) => facts.name) })
    await call.progress?.(tokens)
  }
}

const sum = ({ read, steps }: { read: number; steps: number }) => read + steps
