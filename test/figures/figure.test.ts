/** The Figure object: what notebooks get, what is saved, and what wrong calls are told. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { divergence, evictionMap, memory, tokenStrip } from '../../src/figures/index.js'
import { runMade } from './made-runs.js'
import { shadowMade } from './synthetic.js'
import { parseXml } from './xml.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 10, layers: 2 }
const says = (call: () => unknown, message: RegExp) =>
  assert.throws(
    call,
    (error: Error & { code?: string }) =>
      (error.code === 'invalid' && message.test(error.message)) || assert.fail(error.message),
  )

describe('figure', function () {
  this.timeout(300_000)

  it('shows itself as plotly, svg and words', () => {
    const figure = evictionMap(runMade(small))
    const bundle = (figure as unknown as Record<symbol, () => Record<string, unknown>>)[Symbol.for('Jupyter.display')]()
    assert.deepEqual(Object.keys(bundle), ['application/vnd.plotly.v1+json', 'image/svg+xml', 'text/plain'])
    assert.equal(typeof bundle['application/vnd.plotly.v1+json'], 'object')
    assert.equal(bundle['text/plain'], figure.summary)
    assert.equal(bundle['image/svg+xml'], figure.svg)
  })

  it('saves by the name’s ending', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'zslab-'))
    const figure = tokenStrip(runMade(small), { layer: 1 })
    /** Without its card. */
    const saved = async (name: string, options = {}) => {
      assert.equal(await figure.save(join(folder, name), options), join(folder, name))
      return (await readFile(join(folder, name), 'utf8')).replace(/<metadata>.*<\/metadata>\n/, '')
    }
    assert.equal(await saved('a.svg'), figure.svg)
    const column = await saved('b.svg', { size: 'column', theme: 'dark' })
    assert.equal(parseXml(column).attributes.width, '3.25in')
    assert.equal(column, figure.with({ size: 'column', theme: 'dark' }).svg)
    const { card, ...plotly } = JSON.parse(await saved('a.json')) as { card: object }
    assert.deepEqual([plotly, card], [figure.plotly, figure.card])
    const page = await saved('a.HTML')
    assert.ok(page.includes(figure.svg) && !/<script|src=|href=/.test(page))
    const lines = (await saved('a.csv')).trimEnd().split('\n')
    assert.equal(lines[0], 'position,token,prompt,fate,slot')
    assert.equal(parseInt(lines[lines.length - 1]), 69)
    await assert.rejects(
      figure.save(join(folder, 'a.gif')),
      /expected a name ending in .svg, .pdf, .png, .html, .json, .csv for path but received .*a\.gif/,
    )
    await assert.rejects(figure.save(join(folder, 'no', 'a.svg')), {
      code: 'file',
      message:
        /^the figure could not be written to "[^ ]*a\.svg": ENOENT: no such file or directory: make the folder "[^ ]*no" first$/,
    })
    // What cannot be written whole leaves what was there, and nothing of its own.
    await mkdir(join(folder, 'folder.svg'))
    await assert.rejects(figure.save(join(folder, 'folder.svg')), {
      code: 'file',
      message: /folder\.svg": EISDIR: [^']*$/,
    })
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith('.')),
      [],
    )
    await assert.rejects(
      figure.save(join(folder, 'a.svg'), { width: '3in', dpi: 300 } as never),
      /figure.save has no option "dpi"; it has: size, theme, width/,
    )
  })

  it('hands out its numbers as a frame', () => {
    const figure = memory(runMade(small))
    assert.deepEqual(figure.data.columns, ['run', 'layer', 'kvHead', 'region', 'bytes'])
    assert.equal(figure.data.shape[0], 2 * 3 * 7)
  })

  it('keeps what with() is not given, and forgets the width of another size', () => {
    const figure = memory(runMade(small), { theme: 'dark', width: '5.5in' })
    assert.equal(figure.style.width, 528)
    assert.equal(figure.with({ theme: 'light' }).style.width, 528)
    const column = figure.with({ size: 'column' })
    assert.deepEqual([column.style.width, column.style.theme], [312, 'dark'])
    assert.equal(figure.style.width, 528)
  })

  it('takes the size whose own width is nearest to a width', () => {
    const figure = memory(runMade(small), { size: 'talk' })
    for (const [width, size] of [
      ['2.5in', 'column'],
      ['3.25in', 'column'],
      ['14cm', 'text'],
      ['486pt', 'wide'],
      ['20in', 'wide'],
    ])
      assert.equal(figure.with({ width }).style.size, size, width)
    assert.equal(figure.with({ size: 'wide', width: '5.5in' }).style.size, 'wide')
  })

  it('takes a run as well as its data', () => {
    const data = runMade(small)
    assert.equal(evictionMap({ data: () => data }).svg, evictionMap(data).svg)
  })

  it('says what is wrong with a call', () => {
    const data = runMade(small)
    says(
      () => evictionMap(data, { heads: 3 } as never),
      /evictionMap has no option "heads".*it has: layer, kvHead, by, size, theme, width/,
    )
    says(() => evictionMap(data, { layer: 2 }), /expected a whole number from 0 to 1 for layer but received 2/)
    says(() => evictionMap(data, { kvHead: -1 }), /from 0 to 2 for kvHead but received -1/)
    says(() => evictionMap(data, { by: 'head' as never }), /one of 'position', 'slot' for by/)
    says(() => evictionMap(runMade({ ...small, trace: false })), /kept no events: make the session with trace: true/)
    says(() => evictionMap({} as never), /expected a run \(from session.generate\) or its data\(\) for run/)
    says(() => tokenStrip(data, { kvHead: 1 }), /expected a layer beside kvHead/)
    says(() => tokenStrip(data, { from: 10, to: 10 }), /from 11 to 70 for to but received 10/)
    says(() => memory([]), /at least one run/)
    says(() => memory(data, { labels: ['a', 'b'] }), /expected 1 labels, one per run/)
    says(
      () =>
        memory(
          Array.from({ length: 40 }, () => data),
          { size: 'talk' },
        ).svg,
      /at most \d+ runs on a slide for runs but received 40: use size 'wide'/,
    )
    says(() => divergence([]), /at least one result of run.shadow\(\)/)
    says(() => divergence(Promise.resolve() as never), /await it/)
    says(
      () => divergence({ ...shadowMade(0.1, 3), kl: Float64Array.of(0, NaN, 1) }),
      /expected a finite number of nats for kl\[1\]/,
    )
    says(() => memory(data, { size: 'poster' as never }), /one of 'column', 'text', 'wide', 'talk' for size/)
    says(() => memory(data, { width: '300px' }), /a length such as '5.5in', '14cm' or '396pt' for width/)
    says(() => memory(data, { size: 'wide', width: '3.25in' }), /use size 'column'/)
    says(() => memory(data, { width: '2in' }), /2.4in to 20in with size column for width/)
    says(() => memory(data, { size: 'talk', width: '8in' }), /no width with size talk/)
    says(() => memory(data).with({ colour: 'red' } as never), /figure.with has no option "colour"/)
  })
})
