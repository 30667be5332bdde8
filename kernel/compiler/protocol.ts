/** What the wire process asks the compiler's thread, and what it answers. Positions count UTF-16 units. */
import type { ErrorContent } from '../error.js'

/** Zero-based. */
export interface Position {
  line: number
  column: number
}

/** Where places of a cell's JavaScript stand in the cell. */
export interface Maps {
  /** Source maps, as JSON: CommonJS → the converter's JavaScript → the cell. */
  outer?: string
  inner?: string
  /** In place of these: line, column, removed and added characters of each change to the cell's own text, in order. */
  edits?: readonly number[]
}

/** A .ts or .js file beside the notebook, as CommonJS. */
export interface SideFile {
  /** Under which it is found and runs; it ends with .js. */
  path: string
  data: string
  /** The file itself. */
  source: string
  /** Static imports, in order. */
  imports: string[]
  maps: Maps
}

export interface Compiled {
  /** CommonJS body of an async function (exports, require, …). */
  code: string
  /** Declarations that the next cell sees if this one succeeds; `kept` makes those that it sees if not. */
  declarations: string
  /** What the cell itself declares, types included. */
  names: string[]
  /** Name under which the last expression's value is exported. */
  lastExpression?: string
  /** Static imports, in order. */
  imports: string[]
  /** .ts and .js files beside the notebook that the cell imports, compiled; each once, and again when it has changed. */
  sideOutputs: SideFile[]
  maps: Maps
  /** What the cell's reader should know once. */
  notes: string[]
}

export interface Completion {
  matches: { text: string; type: string }[]
  start: number
  end: number
}

export interface Inspection {
  plain: string
  markdown: string
}

export interface Completeness {
  status: 'complete' | 'incomplete' | 'invalid'
  indent: string
}

export type CompileAnswer = { ok: true; compiled: Compiled } | { ok: false; error: ErrorContent }

/** `declarations`: what the cells before declared. */
export interface Questions {
  compile: { asked: { declarations: string; code: string; label: string }; answered: CompileAnswer }
  complete: { asked: { declarations: string; code: string; cursor: number }; answered: Completion }
  inspect: {
    asked: { declarations: string; code: string; cursor: number; detail: number }
    answered: Inspection | undefined
  }
  isComplete: { asked: { code: string }; answered: Completeness }
  /** `declarations` that a cell made of those `before` it, without the names that it did not come to. */
  kept: { asked: { before: string; declarations: string; lost: string[] }; answered: string }
}

export type ToCompiler = { [Op in keyof Questions]: { id: number; op: Op } & Questions[Op]['asked'] }[keyof Questions]

export type FromCompiler = { id: number; value: unknown } | { id: number; error: ErrorContent } | { ready: true }
