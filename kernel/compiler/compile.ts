/**
 * TypeScript cells to JavaScript: tslab's converter (types carried from cell to cell), with its compiler options mended, passes of
 * our own in TypeScript's (awaits and loops that interrupts can end), and source maps kept.
 */
import { existsSync } from 'node:fs'
import type { Diagnostic, SourceFile } from 'typescript'
import type { Converter } from 'tslab/dist/converter.js'
import type { ShippedPackage } from '../cell/package.js'
import { packageName } from '../cell/resolve.js'
import { declarationsLeft, declarationsOf } from './declared.js'
import { collector, type Findings } from './diagnostics.js'
import type { Disk } from './disk.js'
import { erase } from './erase.js'
import { imported } from './light.js'
import { forgetGlobals, keepNamespaces } from './namespaces.js'
import { parseErrors, prepare } from './prepare.js'
import { sidePath } from './program.js'
import type { Compiled, SideFile } from './protocol.js'
import type { Standing } from './standing.js'
import { loadTslab, type Pass, type Tslab, type Work } from './tslab.js'
import type { TypeScript } from './typescript.js'

export type CompileResult = { ok: true; compiled: Compiled } | { ok: false; complaints: Diagnostic[] }

/** What the converter puts before each text: it is a module. */
const PREFIX = 'export {};\n'

/** What cells are made of, and declares nothing. */
const EXERCISE = `{
  const words = ['a', 'b'].map((word, at) => word.repeat(at)).filter((word) => word.length > 0)
  const sums: Record<string, number> = {}
  for (const word of words) sums[word] = (sums[word] ?? 0) + Math.max(...words.map(({ length }) => length))
  const later = async () => { await Promise.resolve(1) }
  console.log(\`\${words.join(' ')}\`, JSON.stringify(Object.entries(sums)), later)
}`

export class Compiler {
  /** tslab is loaded once, with entry points that report to the compiler in use. */
  private static tslab?: Tslab
  private static work?: Work
  readonly ts: TypeScript
  readonly converter: Converter
  readonly isComplete: Tslab['isCompleteCode']
  private readonly disk: Disk
  private readonly blank: Tslab['blank']
  private readonly standing: Standing
  private readonly seen = new WeakSet<SourceFile>()
  private readonly told = new Set<string>()

  constructor(shipped: ShippedPackage) {
    const tslab = (Compiler.tslab ??= loadTslab(shipped, () => Compiler.work))
    this.ts = tslab.ts
    this.disk = tslab.disk
    this.blank = tslab.blank
    tslab.types.show(process.cwd())
    this.converter = tslab.createConverter({ isJS: false, isBrowser: false })
    this.standing = tslab.standing()
    this.isComplete = tslab.isCompleteCode
  }

  /** After a snapshot: what was read before may have changed on the disk. */
  static wake(): void {
    Compiler.tslab?.shared.doubt()
  }

  /** The syntax errors in `code`, the first one first. */
  syntaxErrors(code: string): Pick<Diagnostic & { start: number }, 'code' | 'start'>[] {
    const { ScriptKind, ScriptTarget } = this.ts
    const file = this.ts.createSourceFile('cell.ts', code, ScriptTarget.Latest, false, ScriptKind.TS)
    return parseErrors(file)
  }

  /** Compiles `code`, given the declarations of the cells before it. */
  compile(declarations: string, code: string): CompileResult {
    const prepared = prepare(this.ts, code)
    if (prepared.errors.length > 0) return { ok: false, complaints: prepared.errors }
    const findings: Findings = { complaints: [], missing: [], untyped: [] }
    const work: Work = { prepared, findings, seen: this.seen, passes: new Map() }
    Compiler.work = work
    let written = false
    try {
      this.disk.refresh()
      const known = forgetGlobals(this.ts, declarations, prepared.file)
      const erased = prepared.plain ? this.erase(known, work) : undefined
      written = erased === undefined
      return erased ?? this.convert(known, work)
    } finally {
      Compiler.work = undefined
      this.disk.notFound(findings.missing)
      this.standing.settle(written)
    }
  }

  /** The short way, by the program that stands; undefined where the cell needs TypeScript's own emitter or a program of its own. */
  private erase(known: string, work: Work): CompileResult | undefined {
    const { ts } = this
    const { prepared, findings } = work
    const names = [...prepared.names]
    const suffix = names.length > 0 ? `\nexport {${names.join(', ')}}` : ''
    const shown = this.standing.show(PREFIX + known, PREFIX + prepared.text + suffix)
    if (!shown) return undefined
    const { program, cell, declarations: earlier } = shown
    if (imported(ts, program, cell).length > 1) return undefined // files beside the notebook are to be written as well
    if (collector(ts, () => work)(program, [cell]).length > 0) return { ok: false, complaints: findings.complaints }
    const checker = program.getTypeChecker()
    const erased = erase(ts, this.blank, checker, cell, earlier)
    if (!erased) return undefined
    const declarations =
      names.length === 0 ? known : declarationsOf(ts, program, cell) + declarationsLeft(ts, checker, cell, earlier)
    const { code, lastExpression, edits } = erased
    return this.result(known, work, {
      code,
      declarations,
      lastExpression,
      imports: [],
      sideOutputs: [],
      maps: { edits },
    })
  }

  private convert(known: string, work: Work): CompileResult {
    const { prepared, findings, passes } = work
    const result = this.converter.convert(known, prepared.text)
    if (result.diagnostics.length > 0) return { ok: false, complaints: findings.complaints }
    const { imports, inner, outer } = passes.get(result.output!)!
    return this.result(known, work, {
      code: withoutPreamble(result.output!),
      declarations: result.declOutput ?? '',
      lastExpression: result.lastExpressionVar,
      imports,
      sideOutputs: (result.sideOutputs ?? []).map(({ path, data }) => sideFile(path, data, passes.get(data)!)),
      maps: { inner, outer },
    })
  }

  private result(known: string, { prepared, findings }: Work, made: Omit<Compiled, 'names' | 'notes'>): CompileResult {
    const declarations = keepNamespaces(this.ts, known, made.declarations, prepared.names)
    const notes = this.notes(findings.untyped)
    return { ok: true, compiled: { ...made, declarations, names: [...prepared.names], notes } }
  }

  /** Whether the next cell will find a type checker that knows the language. */
  get ready(): boolean {
    return this.standing.ready
  }

  /** Makes it so, given what the cells so far declared: work that is best done while nobody waits. */
  prepare(declarations: string): void {
    this.standing.fall()
    this.compile(declarations, EXERCISE)
  }

  /** What is said once of packages whose types cannot be read. */
  private notes(untyped: readonly string[]): string[] {
    const fresh = [...new Set(untyped)].filter((name) => packageName(name) !== undefined && !this.told.has(name))
    fresh.forEach((name) => this.told.add(name))
    const { version } = this.ts
    return fresh.map(
      (name) => `${name}: TypeScript ${version} cannot read its types, or some of them; these are any here`,
    )
  }

  close(): void {
    this.converter.close()
  }
}

/** `exports.a = void 0` at the top would empty a variable of an earlier cell even where this cell then fails. */
function withoutPreamble(code: string): string {
  return code.replace(
    /^(\s*Object\.defineProperty\(exports, "__esModule", .*\);\n)(exports\.[\p{ID_Continue}$]+ = )+void 0;$/mu,
    '$1',
  )
}

function sideFile(emitted: string, data: string, { imports, inner, outer }: Pass): SideFile {
  const path = sidePath(emitted)
  const source = ['ts', 'tsx'].map((ending) => path.replace(/js$/, ending)).find((one) => existsSync(one))
  return { path, data, source: source ?? path, imports, maps: { inner, outer } }
}
