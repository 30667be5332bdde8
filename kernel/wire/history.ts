/** What was run in this session, in memory, as history_request asks for it. */
import type { Json } from './message.js'

/** Session, line, and the input or [input, output]. */
export type Line = [number, number, string | [string, string | null]]

const SESSION = 1

interface Entry {
  count: number
  input: string
  output: string | null
}

export class History {
  private readonly entries: Entry[] = []

  /** A cell that begins to run; it is part of the history once it is closed. */
  add(count: number, input: string): { close(output?: string): void } {
    return { close: (output) => void this.entries.push({ count, input, output: output ?? null }) }
  }

  /** `content` of a history_request. */
  find(content: Json): Line[] {
    const { hist_access_type: how, output, session } = content
    const n = typeof content.n === 'number' ? content.n : undefined
    const select = (): Entry[] => {
      if (how === 'tail') return last(this.entries, n)
      if (how === 'range') return isOurs(session) ? this.range(content.start, content.stop) : []
      if (how === 'search') return last(this.search(content.pattern, content.unique === true), n)
      const given = JSON.stringify(how)
      throw new TypeError(`the request's hist_access_type is ${given}; expected "tail", "range" or "search"`)
    }
    return select().map((entry) => [SESSION, entry.count, output === true ? [entry.input, entry.output] : entry.input])
  }

  private range(start: unknown, stop: unknown): Entry[] {
    const from = typeof start === 'number' ? start : 0
    const to = typeof stop === 'number' ? stop : Infinity
    return this.entries.filter(({ count }) => count >= from && count < to)
  }

  private search(pattern: unknown, unique: boolean): Entry[] {
    const matches = glob(typeof pattern === 'string' ? pattern : '*')
    const found = this.entries.filter(({ input }) => matches.test(input))
    if (!unique) return found
    const latest = new Map(found.map((entry) => [entry.input, entry]))
    return found.filter((entry) => latest.get(entry.input) === entry)
  }
}

/** 0 and negative numbers count sessions from the current one back; there is only this one. */
function isOurs(session: unknown): boolean {
  return session === undefined || session === 0 || session === SESSION
}

function last(entries: Entry[], n: number | undefined): Entry[] {
  return n === undefined ? entries.slice() : n <= 0 ? [] : entries.slice(-n)
}

function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[\\^$.|+(){}[\]]/g, '\\$&')
    .replaceAll('*', '[^]*')
    .replaceAll('?', '[^]')
  return new RegExp(`^${source}$`)
}
