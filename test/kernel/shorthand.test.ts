/** Shorthand properties in cells mean the variables of earlier cells too, which tslab's own kernel leaves undefined. */
import assert from 'node:assert/strict'
import { Compiler } from '../../kernel/compiler/compile.js'
import { shippedPackage } from '../../kernel/cell/package.js'
import { ROOT } from '../notebooks/notebook.js'

describe('shorthand properties in cells', function () {
  this.timeout(300_000)
  let compiler: Compiler
  const exported: Record<string, unknown> = {}
  let declarations = ''
  const names = {
    give: (name: string, value: unknown) => (exported[name] = value),
    share: (name: string, get: () => unknown, set: (value: unknown) => void) =>
      Object.defineProperty(exported, name, { get, set, configurable: true }),
  }

  before(() => (compiler = new Compiler(shippedPackage(ROOT))))
  after(() => (compiler.converter as { close(): void }).close())

  /** Runs `code` as a cell → the value of its last expression. */
  function run(code: string): unknown {
    const result = compiler.compile(declarations, code)
    assert.ok(result.ok, result.ok ? '' : String(result.complaints[0].messageText))
    const { code: body, lastExpression, declarations: next } = result.compiled
    new Function('exports', '__names', body)(exported, names)
    declarations = next
    return lastExpression && exported[lastExpression]
  }

  it('jupyter_shorthand_of_an_earlier_cell', () => {
    run('let size = 2\nconst names = ["a"]')
    assert.deepEqual(run('({ size, names })'), { size: 2, names: ['a'] })
    assert.deepEqual(
      run(
        'const own = 3\nconst f = (size: string) => ({ size, own })\nconst both = [f("inner"), { inner: { size } }]\nboth',
      ),
      [{ size: 'inner', own: 3 }, { inner: { size: 2 } }],
    )
  })

  it('jupyter_destructuring_into_an_earlier_cell', () => {
    run('let place = 0, other = 0')
    assert.deepEqual(
      run('({ place, other = 7 } = { place: 5 } as { place: number; other?: number });\n[place, other]'),
      [5, 7],
    )
  })

  it('jupyter_shorthand_of_an_unknown_name', () => {
    const result = compiler.compile(declarations, '({ nowhere })')
    assert.ok(!result.ok)
    assert.match(String(result.complaints[0].messageText), /nowhere/)
  })
})
