/** What has a table has it as a frame and as CSV, too. */
import { csvOf, frame } from '../frames.js'
import type { TraceCell } from '../trace/columns.js'

export abstract class Tabular {
  /** Columns of plain arrays. */
  abstract table(): Record<string, TraceCell[]>

  /** table() as a danfojs frame. Errors: 'unsupported' without danfojs. */
  frame(): ReturnType<typeof frame> {
    return frame(this.table())
  }

  /** table() as CSV. */
  csv(): string {
    return csvOf(this.table())
  }
}
