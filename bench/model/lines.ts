/** A child process that answers a line with a line, one after another. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Lines {
  ask(line: string): Promise<string>
  /** Ends it; resolves when it is gone. */
  end(): Promise<void>
}

/** Starts `program`; a question fails with what it wrote to stderr where it ends without an answer. */
export function lines(program: string, words: string[]): Lines {
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  const waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  let complaint = ''
  let over: Error | undefined
  const gone = new Promise<void>((resolve) => {
    const ended = (why: string) => {
      over ??= new Error(`${program} ${why}: ${complaint.trim().split('\n').at(-1)}`)
      waiting.splice(0).forEach(({ reject }) => reject(over!))
      resolve()
    }
    child.on('error', (error) => ended(`cannot run (${error.message})`)).on('close', () => ended('ended'))
  })
  child.stderr.on('data', (chunk) => (complaint = `${complaint}${chunk}`.slice(-4000)))
  child.stdin.on('error', () => undefined) // it has ended, which is told as that
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.resolve(line))
  return {
    ask: (line) =>
      new Promise((resolve, reject) => {
        if (over) return reject(over)
        waiting.push({ resolve, reject })
        child.stdin.write(`${line}\n`)
      }),
    end: async () => {
      child.stdin.end()
      await gone
    },
  }
}
