/** Progress: silent where nobody looks, a display with updates in notebooks, aborted by whoever may abort. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach } from 'mocha'
import { bar, host, interruptible, type Host } from '../../src/progress.js'

const HOST = Symbol.for('Jupyter.host')
const globals = globalThis as Record<symbol, unknown>
const text = (bundle: Record<string, unknown>) => String(bundle['text/plain'])

describe('progress', () => {
  let shown: { id: string | undefined; text: string; update: boolean }[]
  let now: number
  const clock = Date.now
  const notebook = (more: Partial<Host> = {}): Host => ({
    version: 1,
    display: (bundle, options) => void shown.push({ id: options?.displayId, text: text(bundle), update: false }),
    update: (id, bundle) => void shown.push({ id, text: text(bundle), update: true }),
    ...more,
  })
  beforeEach(() => {
    shown = []
    now = 1e12
    Date.now = () => now
  })
  afterEach(() => {
    Date.now = clock
    delete globals[HOST]
  })

  it('there is a host only where its version is known', () => {
    assert.equal(host(), undefined)
    globals[HOST] = notebook({ version: 2 })
    assert.equal(host(), undefined)
    const known = notebook()
    globals[HOST] = known
    assert.equal(host(), known)
  })

  it('short work shows nothing, long work one display that is updated and ends as one line', () => {
    globals[HOST] = notebook()
    const short = bar('loading')
    short.update(1, 2)
    short.stop()
    assert.equal(shown.length, 0)
    const long = bar('loading', true, 'tokens')
    now += 500
    long.update(0, 4)
    long.update(1, 4) // too soon after the last one
    now += 500
    long.update(2, 4, 'reading')
    now += 500
    long.update(9, 0)
    long.stop()
    assert.deepEqual(
      shown.map((one) =>
        one.text.replace(/[█░]+/g, (cells) => `[${[...cells].filter((c) => c === '█').length}/${cells.length}]`),
      ),
      ['loading [0/30] 0/4', 'reading [15/30] 2/4', 'loading [0/30] 9/?', 'loading 9 tokens, 1.5 s'],
    )
    assert.deepEqual(
      shown.map((one) => one.update),
      [false, true, true, true],
    )
    assert.equal(new Set(shown.map((one) => one.id)).size, 1)
  })

  it('nothing is drawn where it is not wanted', () => {
    globals[HOST] = notebook()
    const unwanted = bar('loading', false)
    now += 5000
    unwanted.update(1, 2)
    unwanted.stop()
    assert.equal(shown.length, 0)
  })

  it('the signal of the user and that of the cell both stop the work', () => {
    assert.equal(interruptible(undefined), undefined)
    const user = new AbortController()
    assert.equal(interruptible(user.signal), user.signal)
    const cell = new AbortController()
    globals[HOST] = notebook({ signal: cell.signal })
    assert.equal(interruptible(undefined), cell.signal)
    const both = interruptible(user.signal)!
    assert.ok(!both.aborted)
    cell.abort()
    assert.ok(both.aborted)
  })
})
