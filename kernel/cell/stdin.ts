/** `process.stdin` of cells: whoever reads it (readline, `for await`) asks the user for a line, as `input()` does. */
import { Readable } from 'node:stream'
import { currentTurn } from './turn.js'

/** Readers want more as soon as they have a line; a cell that ends or closes them meanwhile does not. */
const DELAY_MS = 30

export interface Stdin {
  /** Something was printed that goes on, such as a question: if a reader of an earlier cell waits, it is this cell's now. */
  prompted(): void
}

/** `ask`: resolves to the user's line; `refused`: is told why there is nobody to ask. */
export function replaceStdin(ask: () => Promise<string>, refused: (error: Error) => void): Stdin {
  let wanted = false
  let asking = false
  const line = async (): Promise<void> => {
    const idle = stdin.readableFlowing === false && stdin.listenerCount('readable') === 0
    if (!wanted || asking || idle || !currentTurn()?.controller) return
    asking = true
    try {
      const text = await ask()
      wanted = false
      stdin.push(`${text}\n`)
    } catch (error) {
      refused(error as Error) // or the cell was interrupted; the next reader asks again
    } finally {
      asking = false
    }
    later()
  }
  const later = () => void setTimeout(() => void line(), DELAY_MS)
  const stdin = new Readable({
    read: () => {
      wanted = true
      later()
    },
  })
  stdin.on('resume', later)
  stdin.on('newListener', (event) => {
    if (event === 'data' || event === 'readable') later()
  })
  Object.assign(stdin, { fd: 0, isTTY: false })
  Object.defineProperty(process, 'stdin', { value: stdin, configurable: true, enumerable: true, writable: true })
  return {
    prompted: () => {
      if (wanted && !asking) later()
    },
  }
}
