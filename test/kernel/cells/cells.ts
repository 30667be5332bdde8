/** Tables of cells that the real kernel runs one after another. */
import assert from 'node:assert/strict'
import { build, Kernel, testable, type ExecuteOptions, type Outcome } from '../client.js'

/**
 * What a cell must lead to. A string: the text of its value; a pattern: what its error shows; null: no value and no error;
 * undefined: no error.
 */
export type Expected = string | RegExp | null | undefined
export type Step = readonly [code: string, expected?: Expected]

export const uncoloured = (text: string) => text.replace(/\u001b\[\d+m/g, '')
export const textOf = (error: Outcome['error']) => uncoloured(((error?.traceback as string[]) ?? []).join('\n'))
export const valueOf = ({ result }: Outcome) => result?.data['text/plain'] as string | undefined

export class Cells {
  kernel!: Kernel

  execute(code: string, options?: ExecuteOptions): Promise<Outcome> {
    return this.kernel.execute(code, options)
  }

  /** Runs `code`, which must not fail → what it shows. */
  async data(code: string): Promise<Record<string, any>> {
    const { result, error } = await this.execute(code)
    assert.equal(error, undefined, textOf(error))
    return (result?.data as Record<string, any> | undefined) ?? {}
  }

  /** Runs `code`, which must fail → what is shown of its error. */
  async error(code: string): Promise<string> {
    const { error } = await this.execute(code)
    assert.ok(error, `no error: ${code}`)
    return textOf(error)
  }

  async follow(steps: readonly Step[]): Promise<void> {
    for (const [code, expected] of steps) {
      const outcome = await this.execute(code)
      const shown = `${code}\n${textOf(outcome.error)}`
      if (expected instanceof RegExp) assert.match(textOf(outcome.error), expected, code)
      else assert.equal(outcome.error, undefined, shown)
      if (expected === null) assert.equal(valueOf(outcome), undefined, shown)
      else if (typeof expected === 'string') assert.equal(valueOf(outcome), expected, shown)
    }
  }

  /** Each line a test: its name and its cells. */
  table(cases: Record<string, readonly Step[]>): void {
    for (const [name, steps] of Object.entries(cases)) it(name, () => this.follow(steps))
  }
}

/** Tests that share one kernel. */
export function kernelTests(title: string, tests: (cells: Cells) => void): void {
  if (!testable()) return
  describe(`kernel: ${title}`, function () {
    this.timeout(300_000)
    const cells = new Cells()
    before(async () => {
      build()
      cells.kernel = await Kernel.start()
    })
    after(async () => {
      await cells.kernel.stop()
    })
    afterEach(() => assert.deepEqual(cells.kernel.invalid, [], 'messages that break the protocol'))
    tests(cells)
  })
}
