/** Questions about code that is not run: completion, inspection, completeness. Positions count UTF-16 units. */
import type { Comms } from './comms.js'
import type { Query } from './protocol.js'
import type { Runner } from './run.js'

export interface Completion {
  matches: string[]
  start: number
  end: number
}

export interface Completeness {
  status: 'complete' | 'incomplete' | 'invalid'
  indent: string
}

export function answer(query: Query, runner: Runner, comms: Comms): unknown {
  if (query.op === 'complete') return complete(runner, query.code, query.cursor)
  if (query.op === 'inspect') return runner.about(query.code, query.cursor) ?? null
  if (query.op === 'isComplete') return completeness(runner, query.code)
  return comms.list(query.target)
}

function complete(runner: Runner, code: string, cursor: number): Completion {
  const { candidates, start, end } = runner.compiler.converter.complete(runner.declarations, code, cursor)
  return { matches: candidates, start, end }
}

/** TypeScript's numbers for a template and a comment that go on. */
const OPEN = [1160, 1010]

function completeness({ compiler }: Runner, code: string): Completeness {
  const errors = compiler.syntaxErrors(code)
  if (errors.length === 0) return { status: 'complete', indent: '' }
  if (errors.some((one) => OPEN.includes(one))) return { status: 'incomplete', indent: '' }
  const { completed, indent = '' } = compiler.isComplete(code)
  return { status: completed ? 'invalid' : 'incomplete', indent }
}
