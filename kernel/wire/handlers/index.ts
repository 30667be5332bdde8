/** The list of message types that the kernel knows. */
import { commClose, commMessage, commOpen } from './comm.js'
import { commInfo } from './comm-info.js'
import { complete } from './complete.js'
import { execute } from './execute.js'
import type { Handler } from './handler.js'
import { history } from './history.js'
import { inspect } from './inspect.js'
import { interrupt } from './interrupt.js'
import { isComplete } from './is-complete.js'
import { kernelInfo } from './kernel-info.js'
import { shutdown } from './shutdown.js'
import { createSubshell, deleteSubshell, listSubshells } from './subshell.js'

const HANDLERS: readonly Handler[] = [
  kernelInfo,
  execute,
  isComplete,
  complete,
  inspect,
  history,
  commInfo,
  commOpen,
  commMessage,
  commClose,
  interrupt,
  shutdown,
  createSubshell,
  deleteSubshell,
  listSubshells,
]

const byType = new Map(HANDLERS.map((handler) => [handler.type, handler]))

export function handlerOf(type: string): Handler | undefined {
  return byType.get(type)
}
