/** Runs compiled cells: load what they import, run, show the last value; and ends them on interrupts. */
import { join } from 'node:path'
import { runInThisContext } from 'node:vm'
import { SCOPE, type CellScope } from '../compiler/transform.js'
import { show } from './display.js'
import { isDisplayed } from './globals.js'
import { errorContent, Interrupted, remember, type CellSource } from './errors.js'
import type { Interrupts } from './interrupt.js'
import { Modules } from './modules.js'
import type { ShippedPackage } from './package.js'
import { positions } from './positions.js'
import type { ExecuteRequest, ExecuteResult, FromCell, Shown } from './protocol.js'
import { scopeOf, Waits } from './scope.js'
import { currentTurn, inTurn, type Turn } from './turn.js'

type Exports = Record<string, unknown>
type Body = () => Promise<void>
type Make = (exports: Exports, require: unknown, scope: CellScope, file: string, folder: string) => Body
type Outcome = { shown?: Shown } | { error: unknown }

/** Microtask queues are lost when code is cut off, so the cell gets this long to settle by itself. */
const SETTLE_MS = 10
const NEVER = new AbortController().signal

export class Runner {
  private readonly exports = variables()
  private readonly waits = new Waits()
  private readonly modules: Modules
  /** The cells that run now (subshells: several), with what ends each. */
  private readonly running = new Map<Turn, () => void>()
  private files = 0

  constructor(
    shipped: ShippedPackage,
    private readonly send: (frame: FromCell) => void,
    private readonly interrupts: () => Interrupts,
  ) {
    this.modules = new Modules(process.cwd(), shipped, (source, home) => scopeOf(this.waits, source, home))
  }

  /** What `specifier` imports, unless the notebook's folder has a package of that name. */
  provide(specifier: string, make: () => Exports): void {
    this.modules.provide(specifier, make)
  }

  /** Aborted when the cell that asks is interrupted. */
  get signal(): AbortSignal {
    return currentTurn()?.controller?.signal ?? NEVER
  }

  /** `ended`: the code that ran was cut off and may never settle. */
  interrupt(ended: boolean): void {
    if (this.running.size === 0) return
    const error = new Interrupted()
    const cutOffs = [...this.running.values()]
    for (const { controller } of this.running.keys()) controller?.abort(error)
    this.waits.interrupt(error)
    if (ended) setTimeout(() => cutOffs.forEach((cutOff) => cutOff()), SETTLE_MS)
  }

  /** Settles as `value` does, unless the running cell is interrupted. */
  wait<T>(value: PromiseLike<T>): Promise<T> {
    return this.waits.wait(value)
  }

  async execute(request: ExecuteRequest): Promise<ExecuteResult> {
    const { id, allowStdin, count } = request
    const outcome = await this.guarded({ id, allowStdin }, () => this.run(request))
    if ('error' in outcome) return { status: 'error', ...errorContent(outcome.error) }
    if (count === undefined || !outcome.shown) return { status: 'ok', shown: outcome.shown }
    const content = { execution_count: count, ...outcome.shown }
    this.send({ op: 'publish', type: 'execute_result', content, from: id })
    return { status: 'ok' }
  }

  /** The value of the last expression, shown. */
  private async run({ compiled, source, label }: ExecuteRequest): Promise<Shown | undefined> {
    const { code, imports, lastExpression, maps, sideOutputs, notes } = compiled
    for (const note of notes) process.stderr.write(`${note}\n`)
    const cell: CellSource = { file: `cell-${++this.files}.ts`, label, source, position: positions(maps) }
    remember(cell)
    this.modules.updateSides(sideOutputs)
    const path = join(process.cwd(), cell.file)
    const home = this.modules.home(path)
    await this.waits.wait(this.modules.preload(imports))
    // A function of its own, so that the cell may declare `require` and the like itself.
    const text = `(function (exports, require, ${SCOPE}, __filename, __dirname) { return async () => {\n${code}\n} })`
    const make = runInThisContext(text, { filename: cell.file }) as Make
    await make(this.exports, home.require, scopeOf(this.waits, cell, home), path, process.cwd())()
    if (lastExpression === undefined) return undefined
    const value = this.exports[lastExpression]
    delete this.exports[lastExpression]
    return value === undefined || isDisplayed(value) ? undefined : await this.waits.wait(Promise.resolve(show(value)))
  }

  /** Runs `work` so that interrupts end it, even where its code is cut off and no promise of it ever settles. */
  private async guarded(turn: Turn, work: () => Promise<Shown | undefined>): Promise<Outcome> {
    turn.controller = new AbortController()
    const outcome = await new Promise<Outcome>((resolve) => {
      this.running.set(turn, () => resolve({ error: new Interrupted() }))
      // Its own turn of the event loop: what ends it must not end what awaits it.
      setImmediate(() => {
        this.interrupts().begin()
        inTurn(turn, work).then(
          (shown) => resolve({ shown }),
          (error: unknown) => resolve({ error }),
        )
      })
    })
    this.interrupts().end()
    this.running.delete(turn)
    turn.controller = undefined
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
