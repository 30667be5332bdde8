/** What a notebook shows of a study while trials come: one output, changed seldom enough, that stays as the last trial left it. */
import assert from 'node:assert/strict'
import { load, type Model } from '../../../src/index.js'
import { ownFolder, toyPath } from '../model/files.js'
import { smallStudy } from './small-study.js'

const HOST = Symbol.for('Jupyter.host')
type Bundle = Record<string, unknown>

describe('studies in a notebook', () => {
  const globals = globalThis as Record<symbol, unknown>
  let model: Model
  let shown: { id: string; bundle: Bundle }[]
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 1, progress: false })
  })
  beforeEach(() => {
    shown = []
    const note = (id: string, bundle: Bundle) => shown.push({ id, bundle })
    globals[HOST] = {
      version: 1,
      display: (bundle: Bundle, { displayId }: { displayId: string }) => note(displayId, bundle),
      update: note,
    }
  })
  afterEach(() => delete globals[HOST])
  after(() => model?.dispose())

  it('show their summary as it grows, and nothing where nothing is missing', async () => {
    const folder = ownFolder()
    const study = await smallStudy(model, folder).run({ progress: false })
    assert.equal(new Set(shown.map(({ id }) => id)).size, 1)
    assert.match(String(shown.at(-1)!.bundle['text/plain']), /alpha 0, residual 2: .* \(15 trials of 15 clusters\)/)
    shown = []
    await study.run({ progress: false })
    assert.deepEqual(shown, [])
  })

  it('show what they are told to, ten times a second at most, or nothing', async () => {
    let made = 0
    const started = performance.now()
    const watch = () => ({ [Symbol.for('Jupyter.display')]: () => ({ 'image/svg+xml': `<svg>${++made}</svg>` }) })
    await smallStudy(model, undefined).run({ progress: false, watch })
    // The first and the last are shown at once, whatever comes between; making them takes next to nothing here.
    assert.ok(shown.length <= 2 + (performance.now() - started) / 100, `${shown.length} times`)
    assert.deepEqual(shown.at(-1)!.bundle, { 'image/svg+xml': `<svg>${made}</svg>` })
    shown = []
    await smallStudy(model, undefined).run({ progress: false, watch: null })
    assert.deepEqual(shown, [])
    await assert.rejects(smallStudy(model, undefined).run({ watch: 3 as never }), /watch/)
  })
})
