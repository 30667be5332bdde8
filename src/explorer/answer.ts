/** The kernel's end of the explorer's comm: a page asks for a head that its document has no room for. */
import { host, type HostComm } from '../progress.js'
import { EXPLORER_COMM } from './data.js'
import type { RunPack } from './pack.js'

/** Shown last, and so kept in memory with their runs. */
const KEPT = 8
const known = new Map<string, readonly RunPack[]>()

export function remember(id: string, packs: readonly RunPack[]): void {
  known.delete(id)
  known.set(id, packs)
  for (const oldest of known.keys()) {
    if (known.size <= KEPT) break
    known.delete(oldest)
  }
}

export const forget = (id: string): void => void known.delete(id)

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
  const packs = known.get(id)
  if (!packs)
    return comm.close({
      reason: `the kernel no longer has this run (it keeps the ${KEPT} shown last): run the cell again`,
    })
  comm.send({ ready: true })
  comm.onMessage((asked) => {
    const [run, key] = [Number(asked.run), String(asked.key)]
    comm.send({ run, key, head: packs[run]?.head(key) ?? null })
  })
}
