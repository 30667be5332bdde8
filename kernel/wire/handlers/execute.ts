/** execute_request: compiles a cell and runs it. */
import { Interrupted, errorContent, red } from '../../cell/errors.js'
import type { Bundle, ExecuteResult, Shown } from '../../cell/protocol.js'
import type { ErrorContent } from '../../error.js'
import type { Compiled } from '../../compiler/protocol.js'
import { CellDied, type Origin } from '../cell.js'
import type { Json, Message } from '../message.js'
import { shortened, text, type Handler, type Kernel } from './handler.js'
import { question } from './question.js'

type Failed = { status: 'error' } & ErrorContent
type Succeeded = { status: 'ok'; shown?: Shown }

export const execute: Handler = {
  type: 'execute_request',
  reply: 'execute_reply',
  async handle(request, kernel) {
    const { content } = request
    const code = text(content, 'code')
    const expressions = expressionsOf(request)
    const silent = content.silent === true
    const stored = !silent && content.store_history !== false
    const count = kernel.executionCount + (stored ? 1 : 0)
    kernel.executionCount = count
    if (!silent) kernel.publish(request, 'execute_input', { code, execution_count: count })
    const entry = stored ? kernel.history.add(count, code) : undefined
    const origin = kernel.enter(request, silent)
    try {
      const cell = new CellRun(kernel, origin, `Cell [${count}]`, content.allow_stdin === true)
      const [source, name] = question(code)
      const result = await cell.run(source, silent ? undefined : count)
      if (result.status === 'ok') {
        const evaluated: [name: string, value: Json][] = []
        for (const [key, expression] of Object.entries(expressions))
          evaluated.push([key, await cell.evaluate(expression, key)])
        const user_expressions = Object.fromEntries(evaluated) // a name may be __proto__
        const payload = name === undefined ? [] : [await page(kernel, name)]
        return { status: 'ok', execution_count: count, user_expressions, payload }
      }
      const { ename, evalue, traceback } = result
      if (!silent) kernel.publish(request, 'error', { ename, evalue, traceback })
      if (content.stop_on_error !== false) await kernel.abortQueued(request)
      return { status: 'error', execution_count: count, ename, evalue, traceback, user_expressions: {}, payload: [] }
    } finally {
      entry?.close(origin.result)
      kernel.leave(origin)
    }
  },
}

class CellRun {
  /** One that comes later ends all of it. */
  private readonly interrupts: number

  constructor(
    private readonly kernel: Kernel,
    private readonly origin: Origin,
    private readonly label: string,
    private readonly allowStdin: boolean,
  ) {
    this.interrupts = kernel.interrupts
  }

  /** Runs `source`; what it declares is known to later cells as far as it comes. `count`: under which its result is shown. */
  async run(source: string, count?: number): Promise<Failed | Succeeded> {
    const { compiler } = this.kernel
    const compiled = await this.compile(source, this.label)
    if ('status' in compiled) return compiled
    const { declarations } = compiler
    const result = await this.execute(compiled, source, this.label, count)
    if (result.status !== 'ok') {
      await this.keep(compiled, declarations, result.lost)
      return result
    }
    if (compiler.declarations === declarations) compiler.declarations = compiled.declarations
    else {
      const again = await compiler.compile(source, this.label) // a cell of another subshell declared something meanwhile
      if (again.ok) compiler.declarations = again.compiled.declarations
    }
    return result
  }

  /** What a cell that failed had declared until then stays: nobody wants to load data again because a later line is wrong. */
  private async keep({ declarations }: Compiled, before: string, lost?: string[]): Promise<void> {
    const { compiler, deaths } = this.kernel
    if (lost === undefined) return
    const kept =
      lost.length === 0 ? declarations : await compiler.ask('kept', { before, declarations, lost }).catch(() => before)
    if (compiler.declarations === before && this.kernel.deaths === deaths) compiler.declarations = kept
  }

  async evaluate(expression: string, name: string): Promise<Json> {
    const source = `(${expression}\n)`
    const label = `${this.label} ${name}`
    const compiled = await this.compile(source, label)
    if ('status' in compiled) return { ...compiled }
    const result = await this.execute(compiled, source, label)
    if (result.status === 'error') return { ...result }
    return { status: 'ok', ...(result.shown ?? { data: { 'text/plain': 'undefined' }, metadata: {} }) }
  }

  private async compile(source: string, label: string): Promise<Failed | Compiled> {
    const { kernel } = this
    for (;;) {
      const { interrupts } = this
      const { deaths } = kernel
      const answer = await kernel.compiler.compile(source, label).catch((error: Error) => error)
      if (kernel.interrupts !== interrupts) return { status: 'error', ...errorContent(new Interrupted()) }
      if (answer instanceof Error) return told(answer)
      if (kernel.deaths !== deaths) continue // it was compiled against variables that are gone
      return answer.ok ? answer.compiled : { status: 'error', ...answer.error }
    }
  }

  private async execute(compiled: Compiled, source: string, label: string, count?: number): Promise<ExecuteResult> {
    const { kernel, origin, allowStdin } = this
    const made = kernel.compiler.forCell(compiled)
    try {
      return await kernel.cell.execute({ op: 'execute', compiled: made, source, label, allowStdin, count }, origin)
    } catch (error) {
      if (!(error instanceof CellDied)) throw error
      return told(error)
    }
  }
}

/** An error of the kernel, whose stack is no business of the user. */
function told({ name, message }: Error): Failed {
  return { status: 'error', ename: name, evalue: message, traceback: [`${red(name)}: ${message}`] }
}

async function page({ compiler }: Kernel, name: string): Promise<Bundle> {
  const { declarations } = compiler
  const about = await compiler.ask('inspect', { declarations, code: name, cursor: name.length, detail: 1 })
  const data = about
    ? { 'text/plain': about.plain, 'text/markdown': about.markdown }
    : { 'text/plain': `nothing is known about ${name}` }
  return { source: 'page', start: 0, data }
}

function expressionsOf({ content }: Message): Record<string, string> {
  const given = content.user_expressions ?? {}
  const wrong = () => new TypeError(`user_expressions is ${shortened(given)}; expected an object from names to code`)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw wrong()
  for (const code of Object.values(given)) if (typeof code !== 'string') throw wrong()
  return given as Record<string, string>
}
