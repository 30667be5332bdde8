/** execute_request: runs a cell. */
import type { ExecuteResult } from '../../cell/protocol.js'
import { CellDied } from '../cell.js'
import type { Message } from '../message.js'
import { text, type Handler, type Kernel, type Reply } from './handler.js'

export const execute: Handler = {
  type: 'execute_request',
  reply: 'execute_reply',
  async handle(request, kernel) {
    const { content } = request
    const code = text(content, 'code')
    const silent = content.silent === true
    const stored = !silent && content.store_history !== false
    const count = kernel.executionCount + (stored ? 1 : 0)
    kernel.executionCount = count
    if (!silent) kernel.publish(request, 'execute_input', { code, execution_count: count })
    const entry = stored ? kernel.history.add(count, code) : undefined
    kernel.enter(request, silent)
    try {
      const result = await run(kernel, {
        op: 'execute',
        code,
        count,
        silent,
        allowStdin: content.allow_stdin === true,
        expressions: expressionsOf(request),
      })
      if (result.status === 'ok') return { ...replied(result), execution_count: count }
      const { ename, evalue, traceback } = result
      if (!silent) kernel.publish(request, 'error', { ename, evalue, traceback })
      if (content.stop_on_error !== false) await kernel.abortQueued()
      return { status: 'error', execution_count: count, ename, evalue, traceback, user_expressions: {}, payload: [] }
    } finally {
      entry?.close(kernel.result)
      kernel.leave()
    }
  },
}

async function run(kernel: Kernel, request: Parameters<Kernel['cell']['execute']>[0]): Promise<ExecuteResult> {
  try {
    return await kernel.cell.execute(request)
  } catch (error) {
    if (!(error instanceof CellDied)) throw error
    const evalue = `the process that ran this cell ended: ${error.message}. Its variables are lost; a new one was started.`
    return { status: 'error', ename: error.name, evalue, traceback: [`${error.name}: ${evalue}`] }
  }
}

function replied({ expressions, payload }: Extract<ExecuteResult, { status: 'ok' }>): Reply {
  return { status: 'ok', user_expressions: expressions, payload }
}

function expressionsOf({ content }: Message): Record<string, string> {
  const given = content.user_expressions ?? {}
  const wrong = () =>
    new TypeError(`user_expressions is ${JSON.stringify(given)}; expected an object from names to code`)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw wrong()
  for (const code of Object.values(given)) if (typeof code !== 'string') throw wrong()
  return given as Record<string, string>
}
