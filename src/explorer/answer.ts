/** The kernel's end of the explorer's comm: a page asks for a head that its document has no room for, or follows a session. */
import { host, type HostComm } from '../progress.js'
import { EXPLORER_COMM } from './data.js'
import { Live, type Followed, type Views } from './live.js'
import type { RunPack } from './pack.js'

/** What a page is answered from. */
export interface Answering {
  /** As they were shown last. */
  packs: readonly RunPack[]
  /** Followed while they work; none: runs and traces, which are over. */
  sessions: readonly Followed[]
  views: Views
}

/** Shown last, and so kept in memory with their runs. */
const KEPT = 8
const GONE = `the kernel no longer has this run (it keeps the ${KEPT} shown last): run the cell again`
const known = new Map<string, Answering>()
const followed = new Map<string, Set<Live>>()

export function remember(id: string, answering: Answering): void {
  known.delete(id)
  known.set(id, answering)
  for (const oldest of known.keys()) {
    if (known.size <= KEPT) break
    forget(oldest)
  }
}

export function forget(id: string): void {
  known.delete(id)
  for (const live of followed.get(id) ?? []) live.dismiss(GONE)
  followed.delete(id)
}

let answering = false

/** From now on, where there is a notebook. */
export function answerPages(): void {
  if (answering) return
  const notebook = host()
  if (!notebook?.onComm) return
  answering = true
  notebook.onComm(EXPLORER_COMM, (comm, data) => answer(comm, String(data.id)))
}

function answer(comm: HostComm, id: string): void {
  const found = known.get(id)
  if (!found) return comm.close({ reason: GONE })
  comm.send({ ready: true })
  const live = found.sessions.length ? follow(comm, id, found) : undefined
  comm.onMessage((asked) => {
    const [run, key] = [Number(asked.run), String(asked.key)]
    if (live) live.key = key
    comm.send({ run, key, head: found.packs[run]?.head(key) ?? null })
  })
}

function follow(comm: HostComm, id: string, { sessions, views }: Answering): Live {
  const live = new Live(sessions, views, comm)
  const all = followed.get(id) ?? new Set()
  followed.set(id, all.add(live))
  comm.onClose(() => {
    live.end()
    all.delete(live)
  })
  live.whole()
  return live
}
