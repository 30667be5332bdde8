/** Runs cells one after another: compile, load what they import, run, show the last value; and ends them on interrupts. */
import { inspect } from 'node:util'
import { runInThisContext } from 'node:vm'
import { Compiler, type Compiled, type CompileResult } from './compile.js'
import { show, type Shown } from './display.js'
import { complaintContent, errorContent, Interrupted, remember, type CellSource } from './errors.js'
import type { Interrupts } from './interrupt.js'
import { Modules } from './modules.js'
import type { ShippedPackage } from './package.js'
import type { Bundle, ErrorContent, ExecuteRequest, ExecuteResult, ExpressionResult, FromCell } from './protocol.js'
import { scopeOf, Waits } from './scope.js'
import { SCOPE, type CellScope } from './transform.js'

type Exports = Record<string, unknown>
type Body = (exports: Exports, require: unknown, scope: CellScope) => Promise<void>
type Outcome = { result?: Shown } | { error: unknown }

/** Microtask queues are lost when code is cut off, so the cell gets this long to settle by itself. */
const SETTLE_MS = 10
const NEVER = new AbortController().signal

export class Runner {
  compiler: Compiler
  /** Types of what earlier cells declared. */
  declarations = ''
  private readonly exports = variables()
  private readonly waits = new Waits()
  private readonly modules: Modules
  private running?: { controller: AbortController; cutOff: () => void }
  private files = 0

  constructor(
    private readonly shipped: ShippedPackage,
    private readonly send: (frame: FromCell) => void,
    private readonly interrupts: () => Interrupts,
  ) {
    this.compiler = new Compiler(shipped)
    const load = (specifier: unknown) => this.modules.import(specifier)
    this.modules = new Modules(process.cwd(), shipped, scopeOf(this.waits, undefined, load))
  }

  /** Aborted when the running cell is interrupted. */
  get signal(): AbortSignal {
    return this.running?.controller.signal ?? NEVER
  }

  /** `ended`: the code that ran was cut off and may never settle. */
  interrupt(ended: boolean): void {
    if (!this.running) return
    const { controller, cutOff } = this.running
    const error = new Interrupted()
    controller.abort(error)
    this.waits.interrupt(error)
    if (ended) setTimeout(cutOff, SETTLE_MS)
  }

  /** Settles as `value` does, unless the running cell is interrupted. */
  wait<T>(value: PromiseLike<T>): Promise<T> {
    return this.waits.wait(value)
  }

  async execute(request: ExecuteRequest): Promise<ExecuteResult> {
    const { code, count, silent, expressions } = request
    const label = `Cell [${count}]`
    const question = /(?:^|\n)\s*([\p{ID_Start}$_][\p{ID_Continue}$.]*)\?\s*$/u.exec(code)
    const source = question ? code.slice(0, question.index) : code
    const asked = this.interrupts().asked
    const compiled = this.compile(source)
    if ('error' in compiled) return { status: 'error', ...compiled.error }
    if (!compiled.ok) return { status: 'error', ...complaintContent(compiled.complaints, source, label) }
    if (this.interrupts().asked !== asked) return { status: 'error', ...errorContent(new Interrupted()) }
    const outcome = await this.run(compiled.compiled, source, label)
    if ('error' in outcome) return { status: 'error', ...errorContent(outcome.error) }
    this.declarations = compiled.compiled.declarations
    if (outcome.result && !silent) {
      const content = { execution_count: count, ...outcome.result }
      this.send({ op: 'publish', type: 'execute_result', content })
    }
    const results: Record<string, ExpressionResult> = {}
    for (const [name, expression] of Object.entries(expressions))
      results[name] = await this.evaluate(expression, `${label} ${name}`)
    return { status: 'ok', expressions: results, payload: question ? [this.page(question[1])] : [] }
  }

  /** What the compiler knows about the name at `cursor`, as text; undefined for nothing. */
  about(code: string, cursor: number): string | undefined {
    const info = this.compiler.converter.inspect(this.declarations, code, cursor)
    return info && this.compiler.describe(info)
  }

  private page(name: string): Bundle {
    const text = this.about(name, name.length) ?? `nothing is known about ${name}`
    return { source: 'page', start: 0, data: { 'text/plain': text } }
  }

  private compile(code: string): CompileResult | { error: ErrorContent } {
    try {
      return this.compiler.compile(this.declarations, code)
    } catch (error) {
      this.compiler.converter.close()
      this.compiler = new Compiler(this.shipped) // what the old one knows may be half done
      const { ename, evalue, traceback } = errorContent(error)
      const advice = 'the TypeScript compiler failed on this cell; it was started anew: write the cell differently'
      return { error: { ename, evalue: `${advice} (${evalue})`, traceback: [advice, ...traceback] } }
    }
  }

  private async evaluate(expression: string, label: string): Promise<ExpressionResult> {
    const source = `(${expression}\n)`
    const compiled = this.compile(source)
    if ('error' in compiled) return { status: 'error', ...compiled.error }
    if (!compiled.ok) return { status: 'error', ...complaintContent(compiled.complaints, source, label) }
    const outcome = await this.run(compiled.compiled, source, label)
    if ('error' in outcome) return { status: 'error', ...errorContent(outcome.error) }
    return { status: 'ok', ...(outcome.result ?? { data: { 'text/plain': inspect(undefined) }, metadata: {} }) }
  }

  /** The value of the last expression, shown; or what was thrown. */
  private run(compiled: Compiled, source: string, label: string): Promise<Outcome> {
    const { code, imports, lastExpression, position, sideOutputs } = compiled
    const cell: CellSource = { file: `cell-${++this.files}.ts`, label, source, position }
    remember(cell)
    this.modules.updateSides(sideOutputs)
    const scope = scopeOf(this.waits, cell, (specifier) => this.modules.import(specifier))
    return this.guarded(async () => {
      await this.waits.wait(this.modules.preload(imports))
      const text = `(async function (exports, require, ${SCOPE}) {\n${code}\n})`
      const body = runInThisContext(text, { filename: cell.file }) as Body
      await body(this.exports, this.modules.requireFor(), scope)
      if (lastExpression === undefined) return undefined
      const value = this.exports[lastExpression]
      delete this.exports[lastExpression]
      return value === undefined ? undefined : await this.waits.wait(Promise.resolve(show(value)))
    })
  }

  /** Runs `work` so that interrupts end it, even where its code is cut off and no promise of it ever settles. */
  private async guarded(work: () => Promise<Shown | undefined>): Promise<Outcome> {
    const controller = new AbortController()
    const outcome = await new Promise<Outcome>((resolve) => {
      this.running = { controller, cutOff: () => resolve({ error: new Interrupted() }) }
      // Its own turn of the event loop: what ends it must not end what awaits it.
      setImmediate(() => {
        this.interrupts().begin()
        work().then(
          (result) => resolve({ result }),
          (error: unknown) => resolve({ error }),
        )
      })
    })
    this.interrupts().end()
    this.running = undefined
    await new Promise((resolve) => setImmediate(resolve)) // rejections that nobody handled are reported now, not in the next cell
    return outcome
  }
}

/** The variables of all cells. TypeScript defines imported names by getters; here they are plain and can be reassigned. */
function variables(): Exports {
  const values: Exports = {}
  return new Proxy(values, {
    defineProperty(_target, name, { get, value }) {
      if (name !== '__esModule') values[name as string] = get ? (get.call(values) as unknown) : value
      return true
    },
  })
}
