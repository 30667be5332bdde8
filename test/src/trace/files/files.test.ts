/** Traces in files: what was saved is what is opened, figures included; what is cut, damaged or foreign is told in a sentence. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { figures, load, Trace, zsmerge, type Model, type Run } from '../../../../src/index.js'
import { EVENT_COLUMNS } from '../../../../src/trace/columns.js'
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

  it('leaves nothing beside the file', () => {
    assert.deepEqual(
      readdirSync(folder).filter((name) => !ENDINGS.some((ending) => name.endsWith(ending))),
      [],
    )
  })
})
