/** What cells show: values that show themselves, values known by their shape, helpers, progress. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Kernel, ROOT } from '../client.js'
import { kernelTests } from './cells.js'

const HOST = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
const plainOf = (content: { data: Record<string, unknown> } | undefined) => content?.data['text/plain']

kernelTests('displays', (cells) => {
  it('a value shows itself by its MIME bundle, JSON as objects', async () => {
    const code = `({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>x</b>', 'application/json': { n: [1, new Float32Array(2)] }, 'image/png': new Uint8Array([1, 2]) }) })`
    const { result } = await cells.execute(code)
    assert.equal(result!.data['text/html'], '<b>x</b>')
    assert.deepEqual(result!.data['application/json'], { n: [1, [0, 0]] })
    assert.equal(result!.data['image/png'], 'AQI=')
    assert.equal(typeof result!.data['text/plain'], 'string')
    assert.deepEqual(result!.metadata, {})
  })

  it('a display that waits is waited for, one that throws is the cell’s error', async () => {
    const late = `({ async [Symbol.for('Jupyter.display')]() { await 1; return { 'text/html': 'late' } } })`
    assert.equal((await cells.execute(late)).result!.data['text/html'], 'late')
    const bad = `({ [Symbol.for('Jupyter.display')]() { throw new Error('no picture') } })`
    assert.equal((await cells.execute(bad)).error!.evalue, 'no picture')
    const wrong = await cells.execute(`({ [Symbol.for('Jupyter.display')]: () => 'text' })`)
    assert.match(wrong.error!.evalue as string, /should be an object from MIME types to data/)
  })

  it('displays are shown and changed by their id', async () => {
    const code = `${HOST}const id = host.display({ 'text/html': '1' })
      host.update(id, { 'text/html': '2' }); host.display({ 'text/plain': 'x' }, { displayId: 'mine' }); id`
    const { of, result } = await cells.execute(code)
    const [first, second] = of('display_data')
    const [update] = of('update_display_data')
    assert.equal(update.transient.display_id, first.transient.display_id)
    assert.equal(plainOf(result as never), `'${first.transient.display_id}'`)
    assert.equal(update.data['text/html'], '2')
    assert.equal(second.transient.display_id, 'mine')
    assert.match((await cells.execute(`host.update('', {})`)).error!.evalue as string, /expected the id/)
  })

  it('console.clear clears the cell’s output', async () => {
    const { of } = await cells.execute('console.clear()')
    assert.deepEqual(of('clear_output'), [{ wait: false }])
  })

  it('values are known by their shape: plotly specs, frames, pictures, long typed arrays', async () => {
    const shown = async (code: string) => (await cells.execute(code)).result!.data as Record<string, any>
    const plot = await shown(
      `({ data: [{ type: 'bar', x: [1], y: new Float32Array([2]) }], layout: { title: { text: 'T' } } })`,
    )
    assert.deepEqual(plot['application/vnd.plotly.v1+json'].data, [{ type: 'bar', x: [1], y: [2] }])
    assert.equal(plot['text/plain'], '[plotly: bar: T]')
    const large = (x: string) => shown(`({ data: [{ type: 'bar', x: [${x}] }], layout: {} })`)
    assert.deepEqual((await large('12n'))['application/vnd.plotly.v1+json'].data, [{ type: 'bar', x: [12] }])
    assert.match(
      (await large('2n ** 60n'))['text/plain'],
      /^\[not drawn: .* 1152921504606846976n is no number that JSON/,
    )
    assert.equal((await shown(`({ data: [1, 2], layout: {} })`))['application/vnd.plotly.v1+json'], undefined)
    const table = await shown(
      `class Frame { $isSeries = false; columns = ['a<b', 'c']; index = Array.from({ length: 60 }, (_, i) => i); dtypes = ['int32', 'string']; shape = [60, 2]; values = this.index.map((i) => [i, 'v' + i]) }\nnew Frame()`,
    )
    assert.match(table['text/html'], /DataFrame 60 × 2 \(10 more rows\).*a&lt;b.*int32.*>v49</)
    assert.doesNotMatch(table['text/html'], /v50/)
    assert.match(table['text/plain'], /^DataFrame 60 × 2\n.*a<b +c\n.*int32 +string\n/)
    const series = await shown(
      `({ $isSeries: true, columns: ['s'], index: ['x'], dtypes: ['float32'], shape: [1], values: [1.5] })`,
    )
    assert.match(series['text/plain'], /^Series 1\n/)
    const png = await shown(`Buffer.from('iVBORw0KGgoAAAANSUhEUg', 'base64')`)
    assert.equal(png['image/png'], Buffer.from('iVBORw0KGgoAAAANSUhEUg', 'base64').toString('base64'))
    assert.equal((await shown(`new Uint8Array([0xff, 0xd8, 0xff, 0xe0])`))['image/jpeg'], '/9j/4A==')
    assert.equal((await shown(`Buffer.from('<svg xmlns="x"></svg>')`))['image/svg+xml'], '<svg xmlns="x"></svg>')
    const array = await shown(
      `const many = new Float32Array(200).map((_, i) => i); many[7] = NaN; Object.assign(many, { shape: [20, 10] })`,
    )
    assert.equal(
      array['text/plain'],
      'Float32Array(20 × 10) [ 0, 1, 2, …, 197, 198, 199 ]\n  min 0, mean 99.9648, max 199, 1 not finite',
    )
    assert.match((await shown('new Float32Array(200).fill(NaN)'))['text/plain'], /\]\n  200 not finite$/)
    assert.match(
      (await shown(`new Float32Array(200).fill(0.1, 1).fill(16777217, 199)`))['text/plain'],
      /\[ 0, 0\.1, 0\.1, …, 0\.1, 0\.1, 16777216 \]/,
    )
    assert.equal(
      (await shown(`new BigInt64Array(200)`))['text/plain'],
      'BigInt64Array(200) [ 0n, 0n, 0n, …, 0n, 0n, 0n ]\n  min 0n, mean 0, max 0n',
    )
  })

  it('the helpers show, change and clear; a cell may declare their names itself', async () => {
    const { of, error } = await cells.execute(`display.html('<i>h</i>'); display.markdown('*m*'); display.latex('$x$')
      const first = await display({ a: 1 }); await display.update(first, [2]); clearOutput({ wait: true })`)
    assert.equal(error, undefined)
    const datas = of('display_data').map(({ data }) => data as Record<string, unknown>)
    assert.deepEqual(
      [datas[0]['text/html'], datas[1]['text/markdown'], datas[2]['text/latex'], datas[3]['text/plain']],
      ['<i>h</i>', '*m*', '$x$', '{ a: 1 }'],
    )
    assert.equal(of('update_display_data')[0].data['text/plain'], '[ 2 ]')
    assert.deepEqual(of('clear_output'), [{ wait: true }])
    assert.match((await cells.execute('display.html(5 as any)')).error!.evalue as string, /expects a string or bytes/)
    const other = await Kernel.start()
    assert.equal(
      (await other.execute(`const progress = 5, display = 6\nprogress + display`)).result!.data['text/plain'],
      '11',
    )
    assert.equal((await other.execute(`progress`)).result!.data['text/plain'], '5')
    await other.stop()
  })

  it('what is displayed comes where it stands between what is printed and shown otherwise, awaited or not', async () => {
    const { published } = await cells.execute(`display('one'); console.log('two'); display.html('three')
      display('four').then((id) => display.update(id, 'six')); console.log('five')`)
    const texts = published.map(
      ({ content }) => content.data?.['text/html'] ?? content.data?.['text/plain'] ?? content.text,
    )
    assert.deepEqual(
      texts.filter((text) => text !== undefined),
      ["'one'", 'two\n', 'three', "'four'", 'five\n', "'six'"],
    )
  })

  it('notebooks written for tslab show through its names', async () => {
    const { of, error } = await cells.execute(`import * as tslab from 'tslab'
      tslab.display.html('<b>t</b>'); const place = tslab.newDisplay(); place.text('1'); place.text('2'); tslab.display.png(new Uint8Array([1]))`)
    assert.equal(error, undefined, JSON.stringify(error))
    const [html, text, png] = of('display_data')
    assert.equal(html.data['text/html'], '<b>t</b>')
    assert.equal(png.data['image/png'], 'AQ==')
    const [update] = of('update_display_data')
    assert.equal(update.data['text/plain'], '2')
    assert.equal(update.transient.display_id, text.transient.display_id)
  })

  it('bars inside a bar take turns on one line, with few messages', async () => {
    const { of } = await cells.execute(`for (const n of progress([1, 2, 3], { label: 'outer' })) {
        for (const m of progress(Array(1000).keys(), { label: 'inner', total: 1000 })) void m
        for (const m of progress([n], { label: 'other' })) void m
        await Promise.all([1, 2].map(async () => { for (const m of progress([1, 2])) await m }))
      }
      const forgotten = progress.bar({ label: 'forgotten' })`)
    const last = of('display_data').map(({ transient: { display_id: id }, data }) => {
      const updates = of('update_display_data').filter(({ transient }) => transient.display_id === id)
      return (updates.at(-1)?.data ?? data)['text/plain'] as string
    })
    const empty = '             2/2 in '
    const names = ['outer:       3/3 in ', 'inner: 1000/1000 in ', 'other:       1/1 in ', empty, empty, 'forgotten: 0']
    assert.deepEqual(
      last.map((line, at) => line.slice(0, names[at].length)),
      names,
    )
    assert.ok(of('update_display_data').length < 60, String(of('update_display_data').length))
    const next = await cells.execute('for (const n of progress([1])) void n')
    assert.equal(next.of('display_data').length, 1)
  })

  it('bars inside a bar stand in its columns, whatever is wider', async () => {
    const { published } = await cells.execute(`const wait = () => new Promise((r) => setTimeout(r, 55))
      for (const n of progress([1, 2], { label: 'a <b>' })) {
        for (const m of progress([1, 2, 3], { label: '層\\n層 ü' })) await wait()
        const free = progress.bar({ label: 'free' })
        for (let i = 0; i < 3; i++) { await wait(); free.step(5000) }
        free.end()
        for (const m of progress(Array(10).keys(), { label: 'longest of all', total: 12 })) await wait()
      }`)
    const screen = new Map<string, { plain: string; html: string }>()
    const aligned = () => {
      const lines = [...screen.values()]
      const told = lines.map(({ plain }) => plain).join('\n')
      const ends = lines.map(({ plain }) =>
        plain
          .replace(/層/g, 'XX')
          .replace(/ü/g, 'u')
          .search(/(?<=\d)( in | \(|$)/),
      )
      assert.ok(ends[0] > 0 && new Set(ends).size === 1, told)
      const widths = lines.map(({ html }) => [...html.matchAll(/width: (\d+)ch/g)].map(([, width]) => width).join())
      assert.equal(new Set(widths).size, 1, `${widths.join(' ')}\n${told}`)
      return widths[0]
    }
    const seen: string[] = []
    for (const { type, content } of published) {
      if (!type.endsWith('display_data')) continue
      screen.set(content.transient.display_id, { plain: content.data['text/plain'], html: content.data['text/html'] })
      if ([...screen.values()][0].plain.includes(' in ')) continue // all become static, one after another
      if (type === 'display_data' || screen.size === 4) seen.push(aligned()) // before that, lines make room for the next
    }
    assert.ok(seen.length > 6)
    assert.deepEqual([...new Set(seen)], ['6,30,3', '8,30,3', '15,30,5'])
    assert.equal(aligned(), '15,5')
    assert.match([...screen.values()][0].html, /<span [^>]*>a &lt;b&gt;:<\/span>/)
  })

  it('real danfojs frames are tables', async () => {
    const from = JSON.stringify(join(ROOT, 'node_modules/danfojs-node'))
    const frame = await cells.data(
      `const dfd = require(${from})\nconst df = new dfd.DataFrame({ a: [1, 2.5, NaN], 'b<i>': ['x', '<b>', null] }); df`,
    )
    const rows = [
      ['0', '1', 'x'],
      ['1', '2.5', '&lt;b&gt;'],
      ['2', 'NaN', 'null'],
    ]
    assert.equal(
      frame['text/html'],
      `<table><caption style="text-align: left">DataFrame 3 × 2</caption><thead><tr><th></th><th>a</th><th>b&lt;i&gt;</th></tr><tr><th>dtype</th><td>float32</td><td>string</td></tr></thead><tbody>${rows.map(([i, a, b]) => `<tr><th>${i}</th><td>${a}</td><td>${b}</td></tr>`).join('')}</tbody></table>`,
    )
    assert.match(frame['text/plain'], /^DataFrame 3 × 2\n +a +b<i>\n +float32 +string\n0 +1 +x\n/)
    assert.match((await cells.data("df['a']"))['text/plain'], /^Series 3\n/)
    assert.match(
      (await cells.data('new dfd.DataFrame(Array.from({ length: 60 }, (_, i) => [i]))'))['text/html'],
      /60 × 1 \(10 more rows\)/,
    )
  })

  cells.table({
    'promises, collections, classes and rings look as in node': [
      ['Promise.resolve(1)', 'Promise { 1 }'],
      ['[new Promise(() => {})]', '[ Promise { <pending> } ]'],
      ["[new Map([['a', { b: 1 }]]), new Set([1])]", "[ Map(1) { 'a' => { b: 1 } }, Set(1) { 1 } ]"],
      ['class P { private x = 1; #h = 2; get g() { return 5 } }\nnew P()', 'P { x: 1 }'],
      ["const ring: any = { name: 'r' }; ring.self = ring; ring", "<ref *1> { name: 'r', self: [Circular *1] }"],
      ['setTimeout(() => {}, 50)', '[timer, after 50 ms]'],
      ['const every = setInterval(() => clearInterval(every), 5); every', '[timer, every 5 ms]'],
      ['await new Promise((r) => setTimeout(r, 40)); every', '[timer, over]'],
      ['new Proxy({}, { get() { throw 1 }, ownKeys() { throw 2 } })', '{}'],
      ['[new Float64Array(3), new BigInt64Array(2)]', '[ Float64Array(3) [ 0, 0, 0 ], BigInt64Array(2) [ 0n, 0n ] ]'],
    ],
  })

  it('as much of a value is shown as a page can hold, however lists, strings and objects are nested', async () => {
    const shown = async (code: string) => (await cells.data(code))['text/plain'] as string
    const cube = (size: number, depth: number): string =>
      depth === 0 ? '0' : `Array(${size}).fill(${cube(size, depth - 1)})`
    for (const code of [
      cube(100, 3),
      cube(50, 5),
      `Array.from({ length: 200 }, () => 'x'.repeat(20_000))`,
      `Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => ['key' + i, i]))`,
      `new Map(Array.from({ length: 500 }, (_, i) => [i, { all: Array(500).fill('a'.repeat(300)) }]))`,
      `'x'.repeat(1_000_000)`,
    ]) {
      const text = await shown(code)
      assert.ok(text.length < 100_000, `${code}: ${text.length}`)
      assert.match(text, /\d more (items?|characters?|lines)/, code)
    }
    assert.doesNotMatch(await shown(cube(30, 2)), /more/)
    assert.match(await shown(`Array.from({ length: 90 }, (_, i) => ({ i, text: 'row ' + i }))`), /row 89/)
    const quiet = `let reads = 0; const counted = [{ get g() { reads++; return 1 } }, new Proxy([], { get() { reads++ } })]; counted`
    await shown(quiet)
    assert.equal(await shown('reads'), '0')
  })

  it('vega and vega-lite specs are told by their schema', async () => {
    const spec = (name: string, version: string) =>
      `({ $schema: 'https://vega.github.io/schema/${name}/v${version}.json', title: 'T', data: { values: [{ a: 1 }] }, mark: 'bar' })`
    const five = await cells.data(spec('vega-lite', '5.8.0'))
    assert.deepEqual(Object.keys(five).sort(), ['application/vnd.vegalite.v5+json', 'text/plain'])
    assert.equal(five['application/vnd.vegalite.v5+json'].mark, 'bar')
    assert.equal(five['text/plain'], '[vega-lite: T]')
    const six = ['application/vnd.vegalite.v5+json', 'application/vnd.vegalite.v6+json', 'text/plain']
    assert.deepEqual(Object.keys(await cells.data(spec('vega-lite', '6'))).sort(), six)
    assert.ok('application/vnd.vega.v5+json' in (await cells.data(spec('vega', '5'))))
    assert.deepEqual(Object.keys(await cells.data(`({ $schema: 'https://json-schema.org/draft/2020-12/schema' })`)), [
      'text/plain',
    ])
  })

  it('canvases and elements of a page are pictures and HTML', async () => {
    const canvas = `({ getContext() {}, toDataURL(type: string) { return 'data:' + type + ';base64,AQI=' } })`
    assert.deepEqual(await cells.data(canvas), { 'image/png': 'AQI=', 'text/plain': '[PNG, 2 bytes]' })
    const element = (html: string) => `class Element { get outerHTML() { return '${html}' } }\nnew Element()`
    const svg = await cells.data(element('<svg width="1"><g/></svg>'))
    assert.equal(svg['image/svg+xml'], '<svg xmlns="http://www.w3.org/2000/svg" width="1"><g/></svg>')
    assert.equal(svg['text/html'], '<svg width="1"><g/></svg>')
    const named = '<svg width="1" xmlns="http://www.w3.org/2000/svg"></svg>'
    assert.equal((await cells.data(element(named)))['image/svg+xml'], named)
    assert.deepEqual(await cells.data(element('<b>x</b>')), {
      'text/html': '<b>x</b>',
      'text/plain': '[HTML, 8 characters]',
    })
  })

  it('rows become a table', async () => {
    const shown = async (rows: string) => (await cells.execute(`display.table(${rows})`)).of('display_data')[0].data
    const people = await shown(
      `[{ name: 'Ada <3', age: 36 }, { name: 'Alan', born: new Date(0), likes: ['a', { b: 1 }] }]`,
    )
    assert.match(people['text/html'], /2 × 4<.*<th>name<.*<th>age<.*<th>born<.*Ada &lt;3<.*<td>36<\/td><td><\/td>/)
    assert.equal(
      people['text/plain'],
      [
        '2 × 4',
        '     name  age                      born              likes',
        '0  Ada <3   36',
        "1    Alan       1970-01-01T00:00:00.000Z  [ 'a', { b: 1 } ]",
      ].join('\n'),
    )
    assert.match((await shown(`new Map([['x', [1, 2.123456789]]])`))['text/plain'], /^1 × 2\n +0 +1\nx +1 +2\.123457$/)
    assert.match((await shown(`new Set(['a', 'b'])`))['text/plain'], /^2 × 1\n +value\n0 +a\n1 +b$/)
    assert.match((await shown(`{ first: { v: 1 } }`))['text/plain'], /^1 × 1\n +v\nfirst +1$/)
    assert.match((await shown(`Array.from({ length: 70 }, (_, i) => [i])`))['text/html'], /70 × 1 \(20 more rows\)/)
    assert.match(
      (await cells.execute('display.table(5 as any)')).error!.evalue as string,
      /display.table expects a list, map or object of rows but was given 5/,
    )
  })

  it('an error that is a value shows where it was made', async () => {
    assert.match(
      (await cells.data("\nnew TypeError('made')"))['text/plain'],
      /^TypeError: made\n {4}at Cell \[\d+\]:2:1$/,
    )
  })

  it('progress shows a bar that ends as one static line', async () => {
    const { of, stdout } = await cells.execute(`let sum = 0
      for (const n of progress([1, 2, 3], { label: 'outer' })) for (const m of progress(new Set([n]))) sum += m
      for await (const n of progress((async function* () { yield 4 })())) sum += n
      try { for (const n of progress([1, 2])) throw new Error('x') } catch { }
      console.log(sum)`)
    assert.equal(stdout, '10\n')
    const bars = of('display_data')
    assert.match(bars[0].data['text/plain'] as string, /^outer: ░{30} 0\/3$/)
    const ends = bars.map(
      (bar) =>
        of('update_display_data')
          .filter((u) => u.transient.display_id === bar.transient.display_id)
          .at(-1)!.data['text/plain'] as string,
    )
    assert.match(ends[0], /^outer: 3\/3 in \d+\.\d s \(/)
    assert.match(ends.at(-2)!, /^1 in /)
    assert.match(ends.at(-1)!, /^0\/2 in /)
  })
})
