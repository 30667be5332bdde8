/** Traces in files: what was saved is what is opened, figures included; what is cut, damaged or foreign is told in a sentence. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableFromArrays, tableToIPC } from '@uwdata/flechette'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { figures, load, Trace, zsmerge, type Model, type Run } from '../../../../src/index.js'
import { ACTIONS } from '../../../../src/trace/actions.js'
import { EVENT_COLUMNS, laidOut, type Laid } from '../../../../src/trace/columns.js'
import { arrowOf } from '../../../../src/trace/files/arrow.js'
import { factsText, type TraceOf } from '../../../../src/trace/files/facts.js'
import { parquetOf } from '../../../../src/trace/files/parquet.js'
import { BLANK, sealed } from '../../../../src/trace/files/seal.js'
import { ownFolder, toyPath } from '../../model/files.js'

const ENDINGS = ['.arrow', '.parquet']
const PROMPT = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)

describe('traces in files', function () {
  const folder = ownFolder()
  let model: Model
  let run: Run
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    run = await session.generate(PROMPT, { maxTokens: 12, ignoreEos: true, progress: false })
  })
  after(() => model.dispose())

  for (const ending of ENDINGS) {
    const path = (name: string) => join(folder, name + ending)

    it(`${ending}: what is opened equals what was saved, column by column, and so do card, receipt and figures`, async () => {
      assert.equal(await run.trace.save(path('run')), path('run'))
      const opened = await Trace.open(path('run'))
      const [saved, found] = [run.trace.columns(), opened.columns()]
      assert.equal(found.count, saved.count)
      for (const { name } of EVENT_COLUMNS) assert.deepEqual(found[name], saved[name], name)
      assert.deepEqual(opened.table(), run.trace.table())
      for (const layer of [0, 2])
        for (const step of [0, 5, 11])
          assert.deepEqual(opened.cacheAt({ step, layer, kvHead: 1 }), run.trace.cacheAt({ step, layer, kvHead: 1 }))
      assert.deepEqual(JSON.parse(JSON.stringify(opened.data())), JSON.parse(JSON.stringify(run.data())))
      assert.deepEqual(JSON.parse(JSON.stringify(opened.card)), JSON.parse(JSON.stringify(run.card)))
      assert.deepEqual(opened.receipt, run.receipt)
      for (const figure of [figures.evictionMap, figures.tokenStrip, figures.memory])
        assert.equal(figure(opened as never).svg, figure(run as never).svg)
      for (const layer of [0, 2]) {
        const options = { layer, kvHead: 1, by: 'slot' } as const
        assert.equal(figures.evictionMap(opened, options).svg, figures.evictionMap(run, options).svg)
      }
    })

    it(`${ending}: an opened trace is saved to the same bytes, in either format`, async () => {
      const opened = await Trace.open(await run.trace.save(path('once')))
      await opened.save(path('twice'))
      assert.ok(readFileSync(path('twice')).equals(readFileSync(path('once'))))
    })

    it(`${ending}: a flipped bit anywhere, and a file cut anywhere, is told`, async () => {
      const bytes = readFileSync(await run.trace.save(path('whole')))
      const told = (damaged: Buffer) => {
        writeFileSync(path('damaged'), damaged)
        return assert.rejects(Trace.open(path('damaged')), { name: 'ZslabError', code: 'file' })
      }
      for (let at = 0; at < bytes.length; at += Math.max(1, bytes.length >> 7)) {
        const flipped = Buffer.from(bytes)
        flipped[at] ^= 1 << (at % 8)
        await told(flipped)
        await told(bytes.subarray(0, at))
      }
      await told(bytes.subarray(0, -1))
      await told(Buffer.concat([bytes, Buffer.of(0)]))
    })
  }

  it('other programs’ Arrow and Parquet files, and what is neither, are told apart', async () => {
    const foreign = tableToIPC(tableFromArrays({ step: [1, 2] }), { format: 'file' })!
    const columnData = [{ name: 'step', data: [1, 2], type: 'INT32' as const }]
    for (const [name, bytes, says] of [
      [
        'other.arrow',
        Buffer.from(foreign),
        /begins as an Arrow file but is no whole trace of zslab: expected what trace\.save/,
      ],
      [
        'other.parquet',
        Buffer.from(parquetWriteBuffer({ columnData })),
        /begins as a Parquet file but is no whole trace/,
      ],
      ['text.arrow', Buffer.from('step,layer\n'), /is neither an Arrow nor a Parquet file: expected/],
      ['empty.parquet', Buffer.alloc(0), /is empty: expected/],
    ] as [string, Buffer, RegExp][]) {
      writeFileSync(join(folder, name), bytes)
      await assert.rejects(Trace.open(join(folder, name)), { name: 'ZslabError', code: 'file', message: says })
    }
    await assert.rejects(Trace.open(join(folder, 'none.arrow')), { code: 'file', message: /cannot be read: ENOENT/ })
    await assert.rejects(Trace.open('/dev/zero'), { code: 'file', message: /it is a folder or a device, not a file/ })
    await assert.rejects(Trace.open(7 as never), { code: 'invalid', message: /expected a string for path/ })
  })

  it('a trace of a later version, or with words and columns that are not ours, says so', async () => {
    const laid = laidOut(run.trace.columns(), () => 'a')
    const facts = factsText(run.trace.columns(), (run.trace as unknown as { of: () => TraceOf }).of())
    const later = facts.replace('"version":4', '"version":5')
    const words = laid.map((one) =>
      one.name === 'action' ? { ...one, words: ['admit', 'gone', ...ACTIONS.slice(2)] } : one,
    )
    const fewer = laid.filter(({ name }) => name !== 'weight')
    for (const [ending, write] of [
      ['.arrow', arrowOf],
      ['.parquet', parquetOf],
    ] as const)
      for (const [columns, text, says] of [
        [laid, later, /holds a trace of version 5, and this zslab reads version 4/],
        [laid, facts.replace(/"rows":\d+/, '"rows":3'), /has \d+ of 3 rows/],
        [laid, '{}', /holds no trace/],
        [laid, '{', /cannot be understood/],
        [words, facts, /has "gone" in column action: expected one of admit, leave, merge, drop, /],
        [fewer, facts, /has no column weight/],
      ] as [Laid[], string, RegExp][]) {
        const path = join(folder, `odd${ending}`)
        const metadata = new Map([
          ['zslab.seal', BLANK],
          ['zslab.trace', text],
        ])
        writeFileSync(path, Buffer.concat(sealed(write(columns, metadata))))
        await assert.rejects(Trace.open(path), { name: 'ZslabError', code: 'file', message: says })
      }
  })

  it('what cannot be saved is refused: other endings, no events, no folder, a folder of that name', async () => {
    const { trace } = run
    await assert.rejects(trace.save('x.csv'), {
      code: 'invalid',
      message: /expected a name ending in \.arrow or \.parquet/,
    })
    await assert.rejects(trace.save(7 as never), { code: 'invalid', message: /expected a string for path/ })
    await assert.rejects(trace.save(join(folder, 'none/x.arrow')), {
      code: 'file',
      message: /could not be written to .*ENOENT/,
    })
    mkdirSync(join(folder, 'taken.arrow'))
    await assert.rejects(trace.save(join(folder, 'taken.arrow')), {
      code: 'file',
      message: /a folder or a device has that name/,
    })
    rmdirSync(join(folder, 'taken.arrow'))
    const quiet = await model.session().generate(PROMPT, { maxTokens: 1, progress: false })
    await assert.rejects(quiet.trace.save(join(folder, 'x.arrow')), { code: 'invalid', message: /trace: true/ })
    assert.deepEqual(quiet.trace.data().events, undefined)
  })

  it('a name may be as long as the file system takes, and what was there is replaced', async () => {
    const path = join(folder, `${'x'.repeat(249)}.arrow`)
    writeFileSync(path, 'something else')
    await run.trace.save(path)
    assert.equal((await Trace.open(path)).length, run.trace.length)
  })

  it('of several turns the texts are all there', async () => {
    const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    await session.generate('It was the best of times', { maxTokens: 5, ignoreEos: true, progress: false })
    const second = await session.generate(', it was the worst of times', {
      maxTokens: 5,
      ignoreEos: true,
      progress: false,
    })
    const opened = await Trace.open(await second.trace.save(join(folder, 'turns.parquet')))
    const { tokens } = second.data()
    assert.equal(tokens.length, session.seqLen)
    const { position, token } = opened.table()
    assert.deepEqual(
      token,
      Array.from(position, (at) => tokens[at as number].text),
    )
    assert.equal(figures.evictionMap(opened).svg, figures.evictionMap(second).svg)
  })

  it('leaves nothing beside the file', () => {
    assert.deepEqual(
      readdirSync(folder).filter((name) => !ENDINGS.some((ending) => name.endsWith(ending))),
      [],
    )
  })
})
