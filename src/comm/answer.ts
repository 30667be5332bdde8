/** The kernel's end of the comm: what was shown in a notebook is remembered by its id, and answers the pages that show it. */
import { host, type HostComm } from '../progress.js'
import { PAGE_COMM } from './target.js'

type Data = Record<string, unknown>

/** One page that shows it. */
export interface Guest {
  /** What the page asked for. An error's message is the page's answer. */
  answer(question: Data): Data
  /** The page went, or the kernel gave up what it shows. */
  end?(): void
}

/** What was shown. */
export interface Answering {
  /** A page has come, and may be told things by `comm`, asked or not. */
  opened(comm: HostComm): Guest
}

/** As many as were shown last stay in memory, with all that they are drawn from. */
const KEPT = { run: 8, figure: 24 }
export type Kind = keyof typeof KEPT

const goneWords = (kind: Kind) =>
  `the kernel no longer has this ${kind} (it keeps the ${KEPT[kind]} shown last): run the cell again`
const NOT_HERE = 'the kernel does not have it (it was restarted, or has shown many since): run the cell again'

interface Known {
  kind: Kind
  answering: Answering
  guests: Map<HostComm, Guest>
}
const known = new Map<string, Known>()

/** From now on pages that show `id` are answered, where there is a notebook. Shown again: it is the newest, and its pages stay. */
export function remember(kind: Kind, id: string, answering: Answering): void {
  answerPages()
  const before = known.get(id)
  known.delete(id)
  known.set(id, { kind, answering, guests: before?.guests ?? new Map<HostComm, Guest>() })
  const same = [...known].filter(([, other]) => other.kind === kind)
  for (const [oldest] of same.slice(0, Math.max(0, same.length - KEPT[kind]))) forget(oldest)
}

export function forget(id: string): void {
  const found = known.get(id)
  known.delete(id)
  for (const [comm, guest] of found?.guests ?? []) {
    guest.end?.()
    comm.close({ reason: goneWords(found!.kind) })
  }
}

let answering = false

function answerPages(): void {
  const notebook = answering ? undefined : host()
  if (!notebook?.onComm) return
  answering = true
  notebook.onComm(PAGE_COMM, (comm, data) => open(comm, String(data.id)))
}

function open(comm: HostComm, id: string): void {
  const found = known.get(id)
  if (!found) return comm.close({ reason: NOT_HERE })
  comm.send({ ready: true })
  const guest = found.answering.opened(comm)
  found.guests.set(comm, guest)
  comm.onMessage((question) => {
    const { ask } = question
    try {
      comm.send({ ask, ...guest.answer(question) })
    } catch (error) {
      comm.send({ ask, error: (error as Error).message })
    }
  })
  comm.onClose(() => {
    found.guests.delete(comm)
    guest.end?.()
  })
}
