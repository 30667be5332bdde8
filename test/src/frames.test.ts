/** Frames: danfojs behind one door, with quoting and missing values right. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { frame } from '../../src/frames.js'

describe('frames', () => {
  it('makes a frame of typed and plain columns', () => {
    const table = frame({ step: Int32Array.of(1, 2), token: ['a', 'b'] })
    assert.deepEqual(table.shape, [2, 2])
    assert.deepEqual(table.columns, ['step', 'token'])
  })
  it('quotes commas, quotes and line ends in CSV', () => {
    const written = frame({ a: [1, 2, null], b: ['x,y', 'say "z"', 'two\nlines'] }).toCSV()
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
  it('shows fractions with five digits and whole numbers whole, and writes both in full', () => {
    const table = frame({ a: [0.018078243359923363, 1234567, 2.5] })
    const shown = (table as never as Record<symbol, () => Record<string, string>>)[Symbol.for('Jupyter.display')]()
    assert.equal(shown['text/plain'], 'a\n0.018078\n1234567\n2.5\n3 rows × 1 columns')
    assert.equal(table.toCSV(), 'a\n0.018078243359923363\n1234567\n2.5\n')
  })
  it('has frames without rows', () => {
    const none = frame({ a: [], g: new Int32Array(0) })
    assert.deepEqual(none.shape, [0, 2])
    assert.equal(none.toCSV(), 'a,g\n')
    assert.deepEqual(none.groupby(['g']).mean().columns, ['g', 'a_mean'])
    assert.deepEqual(none.groupby(['g']).agg({ a: ['min', 'max'] }).columns, ['g', 'a_min', 'a_max'])
    assert.deepEqual(none.query(none.column('a').gt(2)).shape, [0, 2])
    assert.deepEqual(none.sortValues('a').shape, [0, 2])
    assert.equal(none.describe().column('statistic').values.length, 6)
  })
  it('leaves missing values out of groups', () => {
    const groups = frame({ g: ['x', 'x', 'y', 'y', 'z'], a: [1, null, 3, 5, NaN] }).groupby(['g'])
    const values = (table: { values: unknown }) => (table.values as unknown[][]).map((row) => row[1])
    assert.deepEqual(values(groups.mean()), [1, 4, NaN])
    assert.deepEqual(values(groups.count()), [1, 2, 0])
    assert.deepEqual(values(groups.sum()), [1, 8, 0])
    assert.deepEqual(values(groups.min()), [1, 3, NaN])
    assert.deepEqual(values(groups.std()), [NaN, Math.SQRT2, NaN])
    assert.deepEqual(values(groups.cumSum()), [1, NaN, 3, 8, NaN])
    assert.deepEqual(values(groups.agg({ a: 'median' })), [1, 4, NaN])
  })
  it('keeps groups apart whose keys look alike when joined', () => {
    const table = frame({ a: ['a-', 'a', '__proto__'], b: ['b', '-b', '0'], n: [1, 2, 3] })
      .groupby(['a', 'b'])
      .sum()
    assert.deepEqual(
      (table.values as unknown[][]).map((row) => row[2]),
      [1, 2, 3],
    )
    assert.deepEqual(
      frame({ a: ['-'], n: [4] })
        .groupby(['a'])
        .getGroup(['-']).values,
      [['-', 4]],
    )
  })
  it('groups numbers in their order', () => {
    const table = frame({ a: [10, 9, 10, 2], n: [1, 2, 3, 4] })
      .groupby(['a'])
      .sum()
    assert.deepEqual(table.values, [
      [2, 4],
      [9, 2],
      [10, 4],
    ])
  })
  it('mends frames that come from frames', () => {
    const table = frame({ a: [1, 2, null], t: ['x', 'a,b', '"'] })
    const some = table.query(table.column('a').gt(1))
    assert.equal(some.toCSV(), 'a,t\n2,"a,b"\n')
    assert.equal(some.describe().column('a').values[0], 1)
    assert.ok(Symbol.for('Jupyter.display') in some)
    assert.equal(table.groupby(['t']).mean().toCSV(), 't,a_mean\nx,1\n"a,b",2\n"""",\n')
    table.addColumn('z', [7, 8, 9], { inplace: true })
    assert.equal(table.toCSV({ header: false }), '1,x,7\n2,"a,b",8\n,"""",9\n')
  })
  it('writes CSV with the separator asked for, and refuses what it does not know', async () => {
    const table = frame({ a: ['x;y', 'z'], b: [1, 2] })
    assert.equal(table.toCSV({ sep: ';' }), 'a;b\n"x;y";1\nz;2\n')
    const path = join(await mkdtemp(join(tmpdir(), 'zslab-')), 'a.csv')
    table.toCSV({ filePath: path })
    assert.equal(await readFile(path, 'utf8'), 'a,b\nx;y,1\nz,2\n')
    assert.throws(() => table.toCSV({ separator: ';' } as never), /toCSV has no option "separator"/)
    assert.throws(() => table.toCSV({ sep: '"' }), /expected a separator without quotes/)
    assert.throws(() => table.toCSV({ filePath: '/nowhere/a.csv' }), /could not be written to \/nowhere\/a.csv/)
  })
  it('names the columns where a group is asked for by another', () => {
    assert.throws(() => frame({ a: [1] }).groupby(['b']), /expected one of a for groupby but received "b"/)
    assert.throws(() => frame({ a: [1] }).groupby('a' as never), /write groupby\(\['layer'\]\)/)
  })
})
