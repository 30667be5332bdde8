/**
 * The process that compiles cells and answers questions about code, so that neither the sockets nor a busy cell wait for it and
 * it survives the cell process. It keeps nothing that its owner could not give it again. Where node builds a snapshot of it, it
 * first does once what it will do often.
 */
import { setFlagsFromString, startupSnapshot } from 'node:v8'
import { errorContent } from '../cell/errors.js'
import { shippedPackage } from '../cell/package.js'
import { complete, completeness, inspect } from './answers.js'
import { Compiler } from './compile.js'
import { errorOf } from './diagnostics.js'
import { keepReached } from './kept.js'
import type { CompileAnswer, FromCompiler, ToCompiler } from './protocol.js'

const shipped = shippedPackage()
/** After so long without a question there is time to work ahead. */
const QUIET_MS = 50

function serve(): void {
  setFlagsFromString('--heap-growing-percent=30') // each cell leaves a type checker behind: sooner swept, at no cost that shows
  // TypeScript's checker is one function of 50,000 lines: to optimize it takes V8 100 MB and a second, for nothing
  setFlagsFromString('--max-optimized-bytecode-size=10000')
  let compiler = new Compiler(shipped)
  let declarations = ''
  let rest: NodeJS.Timeout | undefined
  const say = (message: FromCompiler) => process.send?.(message)

  function compile(known: string, code: string, label: string): CompileAnswer {
    try {
      const answer = answerOf(compiler, known, code, label)
      declarations = answer.ok ? answer.compiled.declarations : known
      return answer
    } catch (error) {
      compiler.close()
      compiler = new Compiler(shipped) // what the old one knows may be half done
      const { ename, evalue, traceback } = errorContent(error)
      const advice = 'the TypeScript compiler failed on this cell; it was started anew: write the cell differently'
      return { ok: false, error: { ename, evalue: `${advice} (${evalue})`, traceback: [advice, ...traceback] } }
    }
  }

  function answer(question: ToCompiler): unknown {
    if (question.op === 'kept') return keepReached(compiler.ts, question.before, question.declarations, question.lost)
    const { code } = question
    if (question.op === 'compile') return compile(question.declarations, code, question.label)
    if (question.op === 'complete') return complete(compiler, question.declarations, code, question.cursor)
    if (question.op === 'inspect')
      return inspect(compiler, question.declarations, code, question.cursor, question.detail)
    return completeness(compiler, code)
  }

  /** In a quiet moment: so that no cell waits for what can be known before. */
  function prepare(): void {
    if (compiler.ready) return
    try {
      compiler.prepare(declarations)
    } catch {
      compiler.close()
      compiler = new Compiler(shipped)
    }
  }

  process.on('message', (question: ToCompiler) => {
    clearTimeout(rest)
    try {
      say({ id: question.id, value: answer(question) })
    } catch (error) {
      say({ id: question.id, error: errorContent(error) })
    }
    rest = setTimeout(prepare, QUIET_MS)
  })
  process.on('disconnect', () => process.exit())
  process.on('SIGINT', () => undefined) // Ctrl-C in the kernel's terminal is for the cell
  say({ ready: true })
  rest = setTimeout(prepare, QUIET_MS)
}

function answerOf(compiler: Compiler, declarations: string, code: string, label: string): CompileAnswer {
  const result = compiler.compile(declarations, code)
  return result.ok ? result : { ok: false, error: errorOf(compiler.ts, result.complaints, label) }
}

/** What cells are usually made of. */
const USUAL = `interface Point { x: number; y?: string }
type Key = keyof Point
let last: Point | undefined
const made = ['a', 'b'].map((y, x) => ({ x, y: y.repeat(x) as string })).filter(({ x }) => x > 1)
function total(all: readonly Point[], key: Key = 'x'): number { return key === 'x' ? all.reduce((a, { x }) => a + x, 0) : 0 }
class Named<T extends Point> { static all = 0; private own?: T; constructor(own: T) { this.own = own } get it() { return this.own! } }
for (const one of made) { last = one; console.log(\`\${one.y}\`, one.x.toFixed(2)) }
const { length, ...rest } = await Promise.all([1, 2])
if (length > 1) try { total(made) } catch { last = undefined }
new Named({ x: 1 }).it.x`

const EXERCISES = [
  `import * as fs from 'node:fs'
import * as own from '${shipped.name}'
interface Point { x: number; y: string }
const points: Point[] = await Promise.resolve([{ x: 1, y: 'a' }])
function sum(all: Point[]): number { return all.map(({ x }) => x).reduce((a, b) => a + b, 0) }
for (const point of points) console.log(\`\${point.y} \${fs.existsSync(point.y)}\`)
class Box<T> { constructor(readonly value: T) {} }
setTimeout(() => undefined, 1)
sum(points)`,
  USUAL,
  'const wrong: number = "text"',
  '1',
]

/** No completion: it sorts by Intl, whose collators no snapshot holds. */
function exercise(): void {
  const compiler = new Compiler(shipped)
  for (const code of EXERCISES) answerOf(compiler, '', code, '')
  inspect(compiler, '', 'console.log(1)', 9, 1)
  completeness(compiler, 'if (1) {')
  compiler.close()
}

if (startupSnapshot.isBuildingSnapshot()) {
  exercise()
  startupSnapshot.setDeserializeMainFunction(() => {
    Compiler.wake()
    serve()
  })
} else serve()
