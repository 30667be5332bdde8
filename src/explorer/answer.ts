/** The explorer's answers to its pages: heads that the document has no room for, and what a session does that is followed. */
import type { Answering as Shown } from '../comm/answer.js'
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

export const answersOf = (from: Answering): Shown => ({
  opened(comm) {
    const live = from.sessions.length ? new Live(from.sessions, from.views, comm) : undefined
    live?.whole()
    return {
      answer({ run, key }) {
        const name = String(key)
        if (live) live.key = name
        return { head: from.packs[Number(run)]?.head(name) ?? null }
      },
      end: () => live?.end(),
    }
  },
})
