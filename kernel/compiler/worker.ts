/**
 * The thread that compiles cells and answers questions about code, so that neither the sockets nor a busy cell wait for it and
 * it survives the cell process. It keeps nothing that its owner could not give it again.
 */
import { parentPort } from 'node:worker_threads'
import { errorContent } from '../cell/errors.js'
import { shippedPackage } from '../cell/package.js'
import { complete, completeness, inspect } from './answers.js'
import { Compiler } from './compile.js'
import { errorOf } from './diagnostics.js'
import type { CompileAnswer, FromCompiler, ToCompiler } from './protocol.js'

const shipped = shippedPackage()
let compiler = new Compiler(shipped)
const say = (message: FromCompiler) => parentPort!.postMessage(message)

function compile(declarations: string, code: string, label: string): CompileAnswer {
  try {
    const result = compiler.compile(declarations, code)
    return result.ok ? result : { ok: false, error: errorOf(compiler.ts, result.complaints, label) }
  } catch (error) {
    compiler.close()
    compiler = new Compiler(shipped) // what the old one knows may be half done
    const { ename, evalue, traceback } = errorContent(error)
    const advice = 'the TypeScript compiler failed on this cell; it was started anew: write the cell differently'
    return { ok: false, error: { ename, evalue: `${advice} (${evalue})`, traceback: [advice, ...traceback] } }
  }
}

function answer(question: ToCompiler): unknown {
  const { code } = question
  if (question.op === 'compile') return compile(question.declarations, code, question.label)
  if (question.op === 'complete') return complete(compiler, question.declarations, code, question.cursor)
  if (question.op === 'inspect') return inspect(compiler, question.declarations, code, question.cursor, question.detail)
  return completeness(compiler, code)
}

parentPort!.on('message', (question: ToCompiler) => {
  try {
    say({ id: question.id, value: answer(question) })
  } catch (error) {
    say({ id: question.id, error: errorContent(error) })
  }
})
say({ ready: true })
// The first cell pays for what the compiler does once: better now, while nobody waits.
compile('', 'const warm: number[] = await Promise.resolve([1])\nconsole.log(warm.map((one) => one + 1))\nwarm', '')
