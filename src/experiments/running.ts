/** A study that runs: who does its trials, what is asked of it meanwhile, and what its folder says of it. */
import type { LoadedModel } from '../loaded-model.js'
import type { Call } from '../native/call.js'
import { carryOut } from './carry-out.js'
import { ownHand } from './hand.js'
import { jobsOf, type Planned } from './jobs.js'
import { Listener } from './listener.js'
import { measuring, type Measure } from './measures/index.js'
import { poolOf, roomFor, type Room } from './pool.js'
import { StateFile, type Counts } from './state.js'
import type { TrialStore } from './store.js'

export interface Running {
  model: LoadedModel
  measure: Measure
  folder: string | undefined
  store: TrialStore
  planned: readonly Planned[]
  processes: number
  /** Of the design's trials, as the store has them. */
  counts(): Counts
  /** After a trial is kept. */
  kept(): void
}

/** Errors: of what is done; where it is told to stop, an AbortError. */
export async function runStudy(running: Running, call: Call): Promise<Room> {
  const { model, measure, folder, store, planned, processes } = running
  const listener = await Listener.of(folder, store)
  const due = jobsOf(planned, store, listener.wishes.cancelled)
  const room = roomFor(due.length ? processes : 1, model, due)
  const hands = room.processes > 1 ? poolOf(model, measure, due, room) : [ownHand(model, measuring(measure))]
  const state = new StateFile(folder, running.counts, room.processes)
  try {
    await carryOut(
      {
        measuring: measuring(measure),
        store,
        planned,
        hands,
        listener,
        kept: () => running.kept(),
        told: (now) => state.told(now),
      },
      call,
    )
    await store.fold()
    await state.end('finished')
  } catch (error) {
    const stopped = (error as Error).name === 'AbortError'
    await state.end(stopped ? 'stopped' : 'failed', stopped ? undefined : (error as Error).message)
    throw error
  } finally {
    listener.close()
    for (const hand of hands) hand.close()
  }
  return room
}
