/** Runs compiled cells: load what they import, run, show the last value; and ends them on interrupts. */
import { join } from 'node:path'
import { runInThisContext } from 'node:vm'
import { NAMES, type CellNames } from '../compiler/names.js'
import { SCOPE, type CellScope } from '../compiler/transform.js'
import { show } from './display.js'
import { isDisplayed } from './globals.js'
import { errorContent, Interrupted, remember, type CellSource } from './errors.js'
import type { Interrupts } from './interrupt.js'
import { membersOf, type Member } from './members.js'
import { Modules } from './modules.js'
import type { ShippedPackage } from './package.js'
import { positions } from './positions.js'
import type { ExecuteRequest, ExecuteResult, Shown } from './protocol.js'
import { scopeOf, Waits } from './scope.js'
import { currentTurn, forgetCutOff, inTurn, type Turn } from './turn.js'

type Exports = Record<string, unknown>
type Body = () => Promise<void>
type Make = (
  exports: Exports,
  names: CellNames,
  require: unknown,
  scope: CellScope,
  file: string,
  folder: string,
) => Body
type Outcome = { shown?: Shown } | { error: unknown }

/** A cell that runs, until what it came to is known and nothing can cut it off any more. */
interface Run {
  outcome?: Outcome
  settle(outcome: Outcome): void
}

/** Microtask queues are lost when code is cut off, so the cell gets this long to settle by itself. */
const SETTLE_MS = 10
const NEVER = new AbortController().signal

export class Runner {
  private readonly variables = variables()
  private readonly waits = new Waits()
  private readonly modules: Modules
  /** The notebook's, whatever cells make of the working directory. */
  private readonly folder = process.cwd()
  /** The cells that run now (subshells: several), with what ends each. */
  private readonly running = new Map<Turn, Run>()
  private files = 0

  constructor(
    shipped: ShippedPackage,
    private readonly interrupts: () => Interrupts,
  ) {
    this.modules = new Modules(this.folder, shipped, (source, home) => scopeOf(this.waits, source, home))
  }

  /** What `specifier` imports, unless the notebook's folder has a package of that name. */
  provide(specifier: string, make: () => Exports): void {
    this.modules.provide(specifier, make)
  }

  members(path: readonly string[]): Member[] {
    return membersOf(this.variables.exports, path)
  }

  /** Aborted when the cell that asks is interrupted. */
  get signal(): AbortSignal {
    return currentTurn()?.controller?.signal ?? NEVER
  }

  /** Interrupts the requests up to this one. `cut`: the code that ran was cut off and may never settle. */
  interrupt(upTo: number, cut: boolean): void {
    const error = new Interrupted()
    const meant = [...this.running].filter(([{ id }]) => id <= upTo)
    for (const [turn, run] of meant) {
      if (cut && run.outcome && 'error' in run.outcome) run.outcome = { error } // it failed because of the cut
      // The second time a cell is over even where it catches every error, or tidies up for ever.
      if (cut || turn.controller?.signal.aborted) this.settleSoon(turn, run, error)
    }
    this.waits.interrupt(error, (turn) => turn === undefined || meant.some(([one]) => one === turn))
    for (const [{ controller }] of meant) controller?.abort(error)
  }

  /** Ends what the cell that asks waits for. */
  fail(error: Error): void {
    const turn = currentTurn()
    this.waits.interrupt(error, (one) => one === turn)
  }

  /** Where it was cut off and awaits nothing, nothing of it can go on. */
  private settleSoon(turn: Turn, run: Run, error: Interrupted): void {
    setImmediate(() => setTimeout(() => run.settle({ error }), this.waits.has(turn) ? SETTLE_MS : 0))
  }

  /** Settles as `value` does, unless the running cell is interrupted. */
  wait<T>(value: PromiseLike<T>): Promise<T> {
    return this.waits.wait(value)
  }

  async execute(request: ExecuteRequest): Promise<ExecuteResult> {
    const { id, allowStdin } = request
    const reached = new Set<string>()
    const outcome = await this.guarded({ id, allowStdin }, () => this.run(request, reached))
    if ('error' in outcome) {
      const lost = request.compiled.names.filter((name) => !reached.has(name))
      return { status: 'error', ...errorContent(outcome.error), ...(reached.size > 0 && { lost }) }
    }
    return { status: 'ok', shown: outcome.shown }
  }

  /** Runs `work` as `execute` runs a cell; resolves to what it threw, wrapped. */
  async attend(id: number, work: () => void): Promise<{ error?: unknown }> {
    const outcome = await this.guarded({ id, allowStdin: false }, () => Promise.resolve().then(() => void work()))
    return 'error' in outcome ? outcome : {}
  }

  /** The value of the last expression, shown. Notes the names that the cell declares as it comes to them. */
  private async run({ compiled, source, label }: ExecuteRequest, reached: Set<string>): Promise<Shown | undefined> {
    const { code, imports, lastExpression, maps, sideOutputs, notes } = compiled
    for (const note of notes) process.stderr.write(`${note}\n`)
    const cell: CellSource = { file: `cell-${++this.files}.ts`, label, source, position: positions(maps) }
    remember(cell)
    this.modules.updateSides(sideOutputs)
    const path = join(this.folder, cell.file)
    const home = this.modules.home(path)
    await this.waits.wait(this.modules.preload(imports))
    // A function of its own, so that the cell may declare `require` and the like itself.
    const parameters = `exports, ${NAMES}, require, ${SCOPE}, __filename, __dirname`
    const text = `(function (${parameters}) { 'use strict'; return async () => {\n${code}\n} })` // strict, as modules are
    const make = runInThisContext(text, { filename: cell.file }) as Make
    const { exports, define } = this.variables
    const handOn = (name: string, how: PropertyDescriptor) => {
      define(name, how)
      reached.add(name)
    }
    const names: CellNames = {
      give: (name, value) => handOn(name, { value, writable: true }),
      share: (name, get, set) => handOn(name, { get, set }),
    }
    await make(exports, names, home.require, scopeOf(this.waits, cell, home), path, this.folder)()
    if (lastExpression === undefined) return undefined
    const value = exports[lastExpression]
    exports[lastExpression] = undefined
    // What has no name was given that of the variable.
    if (typeof value === 'function' && value.name === lastExpression)
      Object.defineProperty(value, 'name', { value: '' })
    return value === undefined || isDisplayed(value) ? undefined : await this.waits.wait(Promise.resolve(show(value)))
  }

  /** Runs `work` so that interrupts end it, even where its code is cut off and no promise of it ever settles. */
  private async guarded(turn: Turn, work: () => Promise<Shown | undefined>): Promise<Outcome> {
    const interrupts = this.interrupts()
    const { signal } = (turn.controller = new AbortController())
    const outcome = await new Promise<Outcome>((resolve) => {
      // Beginning and end have turns of the event loop of their own: what ends the code must not end what waits for it.
      const run: Run = {
        settle(outcome) {
          run.outcome ??= outcome
          setImmediate(() => interrupts.end(turn.id, ended))
        },
      }
      const ended = (cut: boolean) => {
        if (cut) forgetCutOff()
        const { outcome } = run
        const failed = 'error' in outcome! && (cut || causedBy(outcome.error, signal))
        resolve(failed ? { error: new Interrupted() } : outcome!)
      }
      this.running.set(turn, run)
      setImmediate(() => {
        interrupts.begin(turn.id, (early) => {
          if (early) return run.settle({ error: new Interrupted() })
          inTurn(turn, work).then(
            (shown) => run.settle({ shown }),
            (error: unknown) => run.settle({ error }),
          )
        })
      })
    })
    this.running.delete(turn)
    turn.controller = undefined
    await new Promise((resolve) => setImmediate(resolve)) // rejections that nobody handled are reported now, not in the next cell
    return outcome
  }
}

/** What functions that take an AbortSignal throw once it is aborted. */
function causedBy(error: unknown, { aborted, reason }: AbortSignal): boolean {
  return aborted && error instanceof Error && error.name === 'AbortError' && error.cause === reason
}

/** The variables of all cells, and how a cell adds to them: what was there under the name stays with those who have it. */
function variables() {
  const exports: Exports = {}
  const define = (name: string, how: PropertyDescriptor) =>
    void Object.defineProperty(exports, name, { ...how, configurable: true, enumerable: true })
  return { exports, define }
}
