/** Completion of what a variable holds, where its type tells nothing: JSON, answers of servers, settings. */
import type { Completion } from '../../compiler/protocol.js'
import type { Kernel } from './handler.js'

/** A cell that is busy does not answer; nobody should wait for it. */
const WAIT_MS = 100
/** A chain of names is short; long lines are not searched. */
const REACH = 300

const NAME = '[\\p{ID_Start}$_][\\p{ID_Continue}$]*'
const STEP = `\\??\\.${NAME}|\\[\\d+\\]|\\['[^'\\\\]*'\\]|\\["[^"\\\\]*"\\]`
const CHAIN = new RegExp(`(?<![\\p{ID_Continue}$.\\])'"\`])(${NAME})((?:${STEP})*)\\??\\.([\\p{ID_Continue}$]*)$`, 'u')

/** The names that go on after the dot at the cursor, as the cell process finds them; nothing of the cells is run for it. */
export async function membersAt({ cell }: Kernel, code: string, cursor: number): Promise<Completion | undefined> {
  const [, root, steps, typed] = CHAIN.exec(code.slice(Math.max(0, cursor - REACH), cursor)) ?? []
  if (root === undefined) return undefined
  const path = [
    root,
    ...Array.from(steps.matchAll(/[\p{ID_Start}$_\d][\p{ID_Continue}$]*|'[^']*'|"[^"]*"/gu), ([step]) =>
      unquoted(step),
    ),
  ]
  const late = new Promise<[]>((resolve) => setTimeout(resolve, WAIT_MS, []).unref())
  const found = await Promise.race([cell.ask<Completion['matches']>({ op: 'members', path }), late]).catch(() => [])
  const matches = found.filter(({ text }) => text.startsWith(typed))
  return matches.length > 0 ? { matches, start: cursor - typed.length, end: cursor } : undefined
}

const unquoted = (step: string) => step.replace(/^(['"])(.*)\1$/, '$2')
