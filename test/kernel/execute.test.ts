/** Cells through the real kernel: values, output, errors, requests' options. */
import assert from 'node:assert/strict'
import { build, Kernel, testable } from './client.js'

const HOST = `const host = (globalThis as any)[Symbol.for('Jupyter.host')]\n`
const plainOf = (content: { data: Record<string, unknown> } | undefined) => content?.data['text/plain']
const text = (lines: string[]) => lines.join('\n').replace(/\u001b\[\d+m/g, '')

if (testable())
  describe('kernel: cells', function () {
    this.timeout(120_000)
    let kernel: Kernel
    before(async () => {
      build()
      kernel = await Kernel.start()
    })
    after(async () => {
      await kernel.stop()
    })
    afterEach(() => assert.deepEqual(kernel.invalid, [], 'messages that break the protocol'))

    it('busy, input, result, idle come in this order', async () => {
      const { published, result, reply } = await kernel.execute('const a: number = 40\na + 2')
      assert.deepEqual(
        published.map(({ type, content }) => (type === 'status' ? content.execution_state : type)),
        ['busy', 'execute_input', 'execute_result', 'idle'],
      )
      assert.equal(plainOf(result as never), '42')
      assert.equal(reply.content.status, 'ok')
      assert.equal(reply.content.execution_count, result!.execution_count)
      assert.deepEqual(reply.content.payload, [])
    })

    it('variables, functions, classes and types of earlier cells are known', async () => {
      await kernel.execute(
        'interface Point { x: number }\nclass Box<T> { constructor(readonly inside: T) {} }\nlet n = 1',
      )
      await kernel.execute('const twice = (p: Point) => p.x * 2\nn += 10')
      assert.equal(plainOf((await kernel.execute('new Box(twice({ x: n })).inside')).result as never), '22')
      const { error } = await kernel.execute('twice({ y: 1 })')
      assert.equal(error!.ename, 'TypeScriptError')
      assert.match(error!.evalue as string, /^Cell \[\d+\]:1:9 - /)
      assert.match(text(error!.traceback as string[]), /'y' does not exist/)
    })

    it('a variable that is declared again has its new type', async () => {
      await kernel.execute('const again = 1')
      assert.equal(
        (await kernel.execute("const again = 'one'\nagain.toUpperCase()")).result!.data['text/plain'],
        "'ONE'",
      )
    })

    it('a cell that fails leaves the variables of earlier cells alone', async () => {
      await kernel.execute('let kept = 7')
      await kernel.execute('throw new Error("before")\nlet kept = 8')
      assert.equal(plainOf((await kernel.execute('kept')).result as never), '7')
    })

    it('await stands anywhere at the top', async () => {
      const code = `const some: any = Promise.resolve([1, 2])
        let sum = 0
        for await (const v of (async function* () { yield* await some })()) sum += v
        for await (const v of [Promise.resolve(10)]) sum += v
        if (sum) sum += await (Promise.resolve(100) as any)
        sum`
      assert.equal(plainOf((await kernel.execute(code)).result as never), '113')
    })

    it('undefined shows nothing, null does', async () => {
      assert.equal((await kernel.execute('undefined')).result, undefined)
      assert.equal((await kernel.execute('const nothing = 1')).result, undefined)
      assert.equal(plainOf((await kernel.execute('null')).result as never), 'null')
    })

    it('the shipped package is typed and loaded wherever the notebook lies', async () => {
      const { result, error } = await kernel.execute(`import * as lab from 'zslab'\ntypeof lab`)
      assert.equal(error, undefined, error && text(error.traceback as string[]))
      assert.equal(plainOf(result as never), "'object'")
      const wrong = await kernel.execute('lab.noSuchThing')
      assert.match(wrong.error!.evalue as string, /noSuchThing/)
    })

    it('node’s modules, dynamic imports and files beside the notebook load', async () => {
      const code = `import { writeFileSync } from 'node:fs'
        writeFileSync('beside.ts', 'export const answer: number = 6 * 7')
        const { basename } = await import('node:path')
        basename('/a/b')`
      assert.equal(plainOf((await kernel.execute(code)).result as never), "'b'")
      const { result, error } = await kernel.execute(`import { answer } from './beside'\nanswer`)
      assert.equal(plainOf(result as never), '42', error && text(error.traceback as string[]))
    })

    it('a package that is not there is named', async () => {
      const { error } = await kernel.execute(`import no from 'no-such-package-here'\nno`)
      assert.match(text(error!.traceback as string[]), /no-such-package-here/)
    })

    // ---------------------------------------------------------------- output

    it('20,000 printed lines all arrive, in few messages, before idle', async () => {
      const { stdout, published } = await kernel.execute('for (let i = 0; i < 20000; i++) console.log(`line ${i}`)')
      const lines = stdout.split('\n')
      assert.equal(lines.length, 20_001)
      lines.slice(0, -1).forEach((line, i) => assert.equal(line, `line ${i}`))
      assert.ok(published.length < 100, `${published.length} messages`)
      assert.equal(published.at(-1)!.content.execution_state, 'idle')
    })

    it('stdout and stderr keep their order', async () => {
      const { of, stderr } = await kernel.execute(`console.log('a'); console.error('b'); process.stdout.write('c')`)
      assert.deepEqual(
        of('stream').map(({ name, text }) => `${name}:${text}`),
        ['stdout:a\n', 'stderr:b\n', 'stdout:c'],
      )
      assert.equal(stderr, 'b\n')
    })

    it('what a slow cell printed is seen before the cell ends', async () => {
      const id = await kernel.begin(`console.log('early'); await new Promise((r) => setTimeout(r, 1000))`)
      await kernel.until(() => kernel.published(id).find((m) => m.type === 'stream'), 'the stream')
      assert.ok(!kernel.published(id).some((m) => m.content.execution_state === 'idle'))
      await kernel.finish(id)
    })

    it('what a cell prints before it keeps its thread busy is seen at once', async () => {
      const ids = [
        await kernel.begin(`console.log('before')`),
        await kernel.begin(`console.log('first'); while (true) {}`),
      ]
      const id = ids[1]
      await kernel.until(() => kernel.published(id).find((m) => m.type === 'stream'), 'the stream')
      await kernel.ask('control', 'interrupt_request', {})
      assert.equal((await kernel.finish(id)).error!.ename, 'Interrupted')
    })

    it('what child processes print arrives too', async () => {
      const code = `import { execFileSync } from 'node:child_process'
        execFileSync('sh', ['-c', 'echo from a child; echo trouble >&2'], { stdio: 'inherit' })
        undefined`
      const { stdout, stderr } = await kernel.execute(code)
      assert.equal(stdout, 'from a child\n')
      assert.equal(stderr, 'trouble\n')
    })

    it('30 MB in one line arrive whole', async () => {
      const { stdout, of } = await kernel.execute(`console.log('é🙂'.repeat(5_000_000))`)
      assert.equal(stdout.length, 15_000_001)
      assert.equal(stdout, 'é🙂'.repeat(5_000_000) + '\n')
      for (const { text } of of('stream')) assert.ok((text as string).length <= 1024 * 1024)
    })

    it('Unicode that is written in pieces is whole', async () => {
      const code = `for (const byte of Buffer.from('ü🙂')) process.stdout.write(Buffer.from([byte]))`
      assert.equal((await kernel.execute(code + '\nundefined')).stdout, 'ü🙂')
    })

    // ---------------------------------------------------------------- displays

    it('a value shows itself by its MIME bundle, JSON as objects', async () => {
      const code = `({ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>x</b>', 'application/json': { n: [1, new Float32Array(2)] }, 'image/png': new Uint8Array([1, 2]) }) })`
      const { result } = await kernel.execute(code)
      assert.equal(result!.data['text/html'], '<b>x</b>')
      assert.deepEqual(result!.data['application/json'], { n: [1, [0, 0]] })
      assert.equal(result!.data['image/png'], 'AQI=')
      assert.equal(typeof result!.data['text/plain'], 'string')
      assert.deepEqual(result!.metadata, {})
    })

    it('a display that waits is waited for, one that throws is the cell’s error', async () => {
      const late = `({ async [Symbol.for('Jupyter.display')]() { await 1; return { 'text/html': 'late' } } })`
      assert.equal((await kernel.execute(late)).result!.data['text/html'], 'late')
      const bad = `({ [Symbol.for('Jupyter.display')]() { throw new Error('no picture') } })`
      assert.equal((await kernel.execute(bad)).error!.evalue, 'no picture')
      const wrong = await kernel.execute(`({ [Symbol.for('Jupyter.display')]: () => 'text' })`)
      assert.match(wrong.error!.evalue as string, /should be an object from MIME types to data/)
    })

    it('displays are shown and changed by their id', async () => {
      const code = `${HOST}const id = host.display({ 'text/html': '1' })
        host.update(id, { 'text/html': '2' }); host.display({ 'text/plain': 'x' }, { displayId: 'mine' }); id`
      const { of, result } = await kernel.execute(code)
      const [first, second] = of('display_data')
      const [update] = of('update_display_data')
      assert.equal(update.transient.display_id, first.transient.display_id)
      assert.equal(plainOf(result as never), `'${first.transient.display_id}'`)
      assert.equal(update.data['text/html'], '2')
      assert.equal(second.transient.display_id, 'mine')
      assert.match((await kernel.execute(`host.update('', {})`)).error!.evalue as string, /expected the id/)
    })

    it('console.clear clears the cell’s output', async () => {
      const { of } = await kernel.execute('console.clear()')
      assert.deepEqual(of('clear_output'), [{ wait: false }])
    })

    it('values are known by their shape: plotly specs, frames, pictures, long typed arrays', async () => {
      const shown = async (code: string) => (await kernel.execute(code)).result!.data as Record<string, any>
      const plot = await shown(
        `({ data: [{ type: 'bar', x: [1], y: new Float32Array([2]) }], layout: { title: { text: 'T' } } })`,
      )
      assert.deepEqual(plot['application/vnd.plotly.v1+json'].data, [{ type: 'bar', x: [1], y: [2] }])
      assert.equal(plot['text/plain'], '[plotly: bar: T]')
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
        'Float32Array(20 × 10) [ 0, 1, 2, 3, …, 196, 197, 198, 199 ]  min 0, mean 99.9648, max 199, 1 not finite',
      )
    })

    it('the helpers show, change and clear; a cell may declare their names itself', async () => {
      const { of, error } =
        await kernel.execute(`display.html('<i>h</i>'); display.markdown('*m*'); display.latex('$x$')
        const first = await display({ a: 1 }); await display.update(first, [2]); clearOutput({ wait: true })`)
      assert.equal(error, undefined)
      const datas = of('display_data').map(({ data }) => data as Record<string, unknown>)
      assert.deepEqual(
        [datas[0]['text/html'], datas[1]['text/markdown'], datas[2]['text/latex'], datas[3]['text/plain']],
        ['<i>h</i>', '*m*', '$x$', '{ a: 1 }'],
      )
      assert.equal(of('update_display_data')[0].data['text/plain'], '[ 2 ]')
      assert.deepEqual(of('clear_output'), [{ wait: true }])
      assert.match(
        (await kernel.execute('display.html(5 as any)')).error!.evalue as string,
        /expects a string or bytes/,
      )
      const other = await Kernel.start()
      assert.equal(
        (await other.execute(`const progress = 5, display = 6\nprogress + display`)).result!.data['text/plain'],
        '11',
      )
      assert.equal((await other.execute(`progress`)).result!.data['text/plain'], '5')
      await other.stop()
    })

    it('notebooks written for tslab show through its names', async () => {
      const { of, error } = await kernel.execute(`import * as tslab from 'tslab'
        tslab.display.html('<b>t</b>'); const place = tslab.newDisplay(); place.text('1'); place.text('2'); tslab.display.png(new Uint8Array([1]))`)
      assert.equal(error, undefined, JSON.stringify(error))
      const [html, text, png] = of('display_data')
      assert.equal(html.data['text/html'], '<b>t</b>')
      assert.equal(png.data['image/png'], 'AQ==')
      const [update] = of('update_display_data')
      assert.equal(update.data['text/plain'], '2')
      assert.equal(update.transient.display_id, text.transient.display_id)
    })

    it('progress shows a bar that ends as one static line', async () => {
      const { of, stdout } = await kernel.execute(`let sum = 0
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

    // ---------------------------------------------------------------- errors

    it('an error is told at the cell’s own line, without frames of the kernel', async () => {
      const code = `type Wide = {\n  a: number\n}\n\nfunction deep(w: Wide): never {\n  throw new RangeError('too deep')\n}\ndeep({ a: 1 })`
      const { error, reply } = await kernel.execute(code)
      assert.equal(error!.ename, 'RangeError')
      assert.equal(error!.evalue, 'too deep')
      const shown = text(error!.traceback as string[])
      assert.match(shown, /at deep \(Cell \[\d+\]:6:9\)/)
      assert.match(shown, /at Cell \[\d+\]:8:1/)
      assert.match(shown, /6 \| {3}throw new RangeError/)
      assert.doesNotMatch(shown, /node:|dist\/kernel|__cell/)
      assert.deepEqual(reply.content.traceback, error!.traceback)
    })

    it('an error behind awaits names each cell that it came through', async () => {
      const first = await kernel.execute(
        `async function late() {\n  await new Promise((r) => setTimeout(r, 1))\n  throw new Error('late')\n}`,
      )
      const { error, reply } = await kernel.execute('\nawait late()')
      const shown = text(error!.traceback as string[])
      const label = (n: number) => `Cell \\[${n}\\]`
      assert.match(shown, new RegExp(`${label(first.reply.content.execution_count as number)}:3:9`))
      assert.match(shown, new RegExp(`${label(reply.content.execution_count as number)}:2:`))
    })

    it('thrown values that are no errors are shown', async () => {
      for (const [code, ename, evalue] of [
        ['throw "words"', 'string', 'words'],
        ['throw 5', 'number', '5'],
        ['throw null', 'null', 'null'],
        ['throw undefined', 'undefined', 'undefined'],
        ['throw { a: 1 }', 'object', '{ a: 1 }'],
        ['throw Object.create(null)', 'object', '[Object: null prototype] {}'],
        ['throw Symbol("s")', 'symbol', 'Symbol(s)'],
        [
          'throw { get message() { throw 1 }, toString() { throw 2 } }',
          'object',
          '{ message: [Getter], toString: [Function: toString] }',
        ],
      ]) {
        const { error } = await kernel.execute(code)
        assert.equal(error?.ename, ename, code)
        assert.equal(error?.evalue, evalue, code)
      }
    })

    it('errors that lie about themselves do not break the kernel', async () => {
      const code = `const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw new Error('no stack') } }); throw e`
      assert.equal((await kernel.execute(code)).reply.content.status, 'error')
      const named = await kernel.execute(
        `const f = new Error('y'); (f as any).name = { toString() { throw 1 } }; throw f`,
      )
      assert.equal(named.reply.content.status, 'error')
      assert.equal(plainOf((await kernel.execute('1')).result as never), '1')
    })

    it('causes and further errors are told', async () => {
      const { error } = await kernel.execute(
        `throw new AggregateError([new Error('one')], 'all', { cause: new Error('root') })`,
      )
      assert.match(text(error!.traceback as string[]), /all[^]*one[^]*caused by[^]*root/)
    })

    it('endless recursion is an error', async () => {
      const { error } = await kernel.execute('const down = (n: number): number => down(n + 1) + 1\ndown(0)')
      assert.equal(error!.ename, 'RangeError')
      assert.match(text(error!.traceback as string[]), /Cell \[\d+\]:1:\d+/)
    })

    it('a rejection that nobody handles is told in its cell, and the kernel lives', async () => {
      const { stderr, reply } = await kernel.execute(`void Promise.reject(new Error('forgotten'))\nundefined`)
      assert.equal(reply.content.status, 'ok')
      assert.match(text([stderr]), /Error: forgotten[^]*Cell \[\d+\]:1:21/)
      const timer = await kernel.execute(
        `setTimeout(() => { throw new Error('in a timer') }, 1); await new Promise((r) => setTimeout(r, 50))`,
      )
      assert.match(text([timer.stderr]), /in a timer/)
    })

    it('syntax errors are told with their place', async () => {
      const { error } = await kernel.execute('const = 5')
      assert.equal(error!.ename, 'TypeScriptError')
      assert.match(text(error!.traceback as string[]), /error TS1134: .*\n\n1 const = 5\n {8}~/)
    })

    // ---------------------------------------------------------------- what a request asks for

    it('silent: nothing is published, nothing is counted', async () => {
      const before = (await kernel.execute('1')).reply.content.execution_count
      const { published, reply } = await kernel.execute(`console.log('x')\n5`, { silent: true })
      assert.deepEqual(
        published.map(({ type }) => type),
        ['status', 'status'],
      )
      assert.equal(reply.content.execution_count, before)
      const failed = await kernel.execute(`throw new Error('quiet')`, { silent: true })
      assert.deepEqual(
        failed.published.map(({ type }) => type),
        ['status', 'status'],
      )
      assert.equal(failed.reply.content.evalue, 'quiet')
    })

    it('store_history false: shown but neither counted nor remembered', async () => {
      const before = (await kernel.execute('"remembered"')).reply.content.execution_count
      const { result, reply } = await kernel.execute('"passing"', { store_history: false })
      assert.equal(plainOf(result as never), "'passing'")
      assert.equal(reply.content.execution_count, before)
      const { content } = await kernel.ask('shell', 'history_request', {
        hist_access_type: 'tail',
        n: 1,
        output: true,
        raw: true,
      })
      assert.deepEqual(content.history, [[1, before, ['"remembered"', "'remembered'"]]])
    })

    it('user_expressions are evaluated after the cell, each with its own error', async () => {
      const { reply } = await kernel.execute('const base = 20', {
        user_expressions: { good: 'await Promise.resolve(base + 1)', bad: 'missing()' },
      })
      assert.equal(plainOf(reply.content.user_expressions.good), '21')
      assert.equal(reply.content.user_expressions.good.status, 'ok')
      assert.equal(reply.content.user_expressions.bad.status, 'error')
      assert.match(reply.content.user_expressions.bad.evalue, /missing/)
    })

    it('stop_on_error: cells that wait are aborted, later ones run', async () => {
      const ids = [await kernel.begin(`await new Promise((r) => setTimeout(r, 300)); throw new Error('stop')`)]
      for (const code of ['"second"', '"third"']) ids.push(await kernel.begin(code))
      const [, second, third] = await Promise.all(ids.map((id) => kernel.finish(id)))
      for (const outcome of [second, third]) {
        assert.equal(outcome.reply.content.status, 'aborted')
        assert.deepEqual(
          outcome.published.map(({ type }) => type),
          ['status', 'status'],
        )
      }
      assert.equal(plainOf((await kernel.execute('"later"')).result as never), "'later'")
    })

    it('stop_on_error false: cells that wait run', async () => {
      const first = await kernel.begin(`await new Promise((r) => setTimeout(r, 100)); throw new Error('go on')`, {
        stop_on_error: false,
      })
      const second = await kernel.begin('"second"')
      await kernel.finish(first)
      assert.equal(plainOf((await kernel.finish(second)).result as never), "'second'")
    })

    it('name? at the end of a cell opens the pager', async () => {
      const { reply } = await kernel.execute('/** Says hello. */ function hello(name: string) { return name }\nhello?')
      const [page] = reply.content.payload
      assert.equal(page.source, 'page')
      assert.match(page.data['text/plain'], /hello\(name: string\): string/)
    })

    // ---------------------------------------------------------------- input

    it('a cell asks for a line of text', async () => {
      const id = await kernel.begin(`${HOST}'hello ' + (await host.input('Name?', { password: true }))`, {
        allow_stdin: true,
      })
      const asked = await kernel.until(
        () => kernel.messages.find((m) => m.type === 'input_request' && m.parent === id),
        'input_request',
      )
      assert.deepEqual(asked.content, { prompt: 'Name?', password: true })
      await kernel.send('stdin', 'input_reply', { value: 'too late' }, { parent: 'some-other-question' })
      await kernel.send('stdin', 'input_reply', { value: 'world' }, { parent: asked.id })
      assert.equal(plainOf((await kernel.finish(id)).result as never), "'hello world'")
    })

    it('input where nobody can answer is an error that says so', async () => {
      assert.match((await kernel.execute(`${HOST}await host.input()`)).error!.evalue as string, /cannot ask for input/)
    })
  })
