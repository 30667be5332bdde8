/** Frames: danfojs behind one door, with quoting and missing values right. */
import assert from 'node:assert/strict'
import { frame } from '../../src/frames.js'

describe('frames', () => {
  it('makes a frame of typed and plain columns', () => {
    const table = frame({ step: Int32Array.of(1, 2), token: ['a', 'b'] })
    assert.deepEqual(table.shape, [2, 2])
    assert.deepEqual(table.columns, ['step', 'token'])
  })
  it('quotes commas, quotes and line ends in CSV', () => {
    const written = frame({ a: [1, 2, null], b: ['x,y', 'say "z"', 'two\nlines'] }).toCSV() as unknown as string
    assert.equal(written, 'a,b\n1,"x,y"\n2,"say ""z"""\n,"two\nlines"\n')
  })
  it('describes columns with missing values', () => {
    const table = frame({ a: [1, null, 3, NaN] }).describe()
    assert.deepEqual(table.column('a').values, [2, 2, Math.SQRT2, 1, 2, 3])
  })
  it('refuses columns of different lengths', () => {
    assert.throws(() => frame({ a: [1], b: [1, 2] }), /expected 1 rows like column a for column b but received 2/)
  })
  it('escapes what it shows', () => {
    const shown = (frame({ t: ['<b>'] }) as never as Record<symbol, () => Record<string, string>>)[
      Symbol.for('Jupyter.display')
    ]()
    assert.ok(shown['text/html'].includes('<td>&lt;b&gt;</td>'))
    assert.equal(shown['text/plain'], 't\n<b>\n1 rows × 1 columns')
  })
})
