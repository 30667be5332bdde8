/** What tslab's converter asks of TypeScript's programs, in places where it expects less than cells do. */
import { isAbsolute } from 'node:path'
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'
import { hoistedDeclarations } from './declared.js'
import { pathOf } from './light.js'
import { handOn } from './names.js'
import type { Host } from './shorthand.js'
import { guardAwaits } from './transform.js'

/** Files above the notebook's folder, under a name that the converter takes for one below. */
const OUTSIDE = '__outside__'

/** What the converter takes for the cell's JavaScript and declarations. */
const CELL = 'outDir/__tslab__.js'
const DECLARATIONS = 'outDir/__tslab__.d.ts'

type File = tsTypes.SourceFile & { locals?: Map<string, unknown>; original?: tsTypes.Node }

/** The real path of a side output. */
export function sidePath(path: string): string {
  const at = path.indexOf(`/${OUTSIDE}/`)
  return (at < 0 ? path : path.slice(at + OUTSIDE.length + 1)).replace(/(\.[cm]js)\.js$/, '$1')
}

/** What becomes of a .mts or .cts file, under a name that the converter takes for JavaScript; node's own .mjs and .cjs stay node's. */
function takenFor(path: string, file: tsTypes.SourceFile | undefined): string {
  return /\.[cm]js$/.test(path) && /\.[cm]ts$/.test(file?.fileName ?? '') ? `${path}.js` : path
}

/** `host`, whose programs emit what the converter's own would refuse. */
export function emitAll(ts: TypeScript, host: Host): Host {
  const create = host.createProgram
  host.createProgram = (...args) => {
    const builder = create.apply(host, args)
    const { emit, getSourceFile } = builder
    builder.getSourceFile = (path) => {
      const file = getSourceFile(pathOf(path)) as File | undefined
      file?.locals?.delete('__global') // `declare global`: not a name that could be exported
      // What awaits something in parentheses is parsed twice; asked for its imports and its path, TypeScript would look at the first
      // file, which has none, and fail where a declaration needs a type that the cell does not name.
      if (file) file.original = undefined
      return file
    }
    builder.emit = (file, write, cancellation, declarationsOnly, given) => {
      const transformers = { ...given, before: [guardAwaits(ts), ...(given?.before ?? [])] }
      let declared = false
      const place: typeof write = (path, text, ...rest) => {
        declared ||= path.endsWith('.d.ts')
        const more = path === DECLARATIONS && file ? hoistedDeclarations(ts, builder.getProgram(), file) : ''
        const made = path === CELL ? handOn(ts, text) : text + more
        const taken = takenFor(path, file)
        write?.(isAbsolute(taken) ? `outDir/${OUTSIDE}${taken}` : taken, made, ...rest)
      }
      const result = emit(file, place, cancellation, declarationsOnly, transformers)
      // Types that cannot be written in full (a class with private members, a type that another file keeps to itself) are no
      // fault of a cell; TypeScript writes what it can where it is told to.
      type Emit = (...all: unknown[]) => unknown
      const program = builder.getProgram() as unknown as { emit: Emit }
      if (!declared && file) program.emit(file, place, cancellation, true, transformers, true)
      return result
    }
    return builder
  }
  return host
}
