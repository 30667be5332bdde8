/** A page that follows a session: what it is sent, how often, and that the session never waits or fails for it. */
import assert from 'node:assert/strict'
import { explore, load, zsmerge, type Model, type Session } from '../../../src/index.js'
import { EXPLORER_MIME, type ExplorerData, type LiveMessage } from '../../../src/explorer/data.js'
import { Live } from '../../../src/explorer/live.js'
import { toyPath } from '../model/files.js'
import { bundleOf, documentOf, storyIn } from './opened.js'

const TEXT = 'It was the best of times, it was the worst of times'
const HOST = Symbol.for('Jupyter.host')

/** The page's end of a comm. */
class PageEnd {
  readonly sent: Record<string, unknown>[] = []
  closed: Record<string, unknown> | undefined
  send: (data: Record<string, unknown>) => void = (data) => void this.sent.push(structuredClone(data))
  private readonly asked: ((data: Record<string, unknown>) => void)[] = []
  private readonly onClosed: (() => void)[] = []
  close(data: Record<string, unknown> = {}) {
    this.closed = data
  }
  onMessage(handler: (data: Record<string, unknown>) => void) {
    this.asked.push(handler)
  }
  onClose(handler: () => void) {
    this.onClosed.push(handler)
  }
  ask(data: Record<string, unknown>) {
    for (const handler of this.asked) handler(data)
  }
  leave() {
    for (const handler of this.onClosed) handler()
  }
  get live() {
    return this.sent.filter((message) => 'live' in message) as unknown as LiveMessage[]
  }
}

const { host, opened } = notebook()

/** What a library sees of a notebook. */
function notebook() {
  const opened: { target?: (comm: PageEnd, data: Record<string, unknown>) => void } = {}
  const host = {
    version: 1,
    display: () => 'id',
    update: () => undefined,
    onComm: (_: string, target: typeof opened.target) => void (opened.target = target),
  }
  return { host, opened }
}

const until = async (holds: () => boolean) => {
  for (let i = 0; i < 500 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.ok(holds(), 'it never happens')
}

describe('explorer: live', function () {
  this.timeout(300_000)
  let model: Model
  let session: Session
  let explorer: ReturnType<typeof explore>
  const globals = globalThis as Record<symbol, unknown>
  const before_ = globals[HOST]
  const quiet = { ignoreEos: true, progress: false } as const
  const pageOf = (data: ExplorerData) => {
    const page = new PageEnd()
    opened.target!(page, { id: data.id })
    return page
  }

  before(async () => {
    globals[HOST] = host
    model = await load(toyPath, { weights: 'float32', progress: false })
  })
  after(() => {
    if (before_ === undefined) delete globals[HOST]
    else globals[HOST] = before_
    model?.dispose()
  })
  beforeEach(() => {
    session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    explorer = explore(session, { layer: 0, kvHead: 0 })
  })
  afterEach(() => {
    explorer.dispose()
    session.dispose()
  })

  it('waits for a session that has read nothing, then follows it and ends with the whole output', async () => {
    const waiting = documentOf(explorer)
    assert.deepEqual([waiting.live, waiting.runs], [true, []])
    const page = pageOf(waiting)
    assert.equal(page.live.length, 0)
    await session.generate(TEXT, { maxTokens: 30, ...quiet })
    const [first] = page.live
    assert.equal(first.live.runs[0].lastStep, 0)
    assert.deepEqual(Object.keys(first.live.runs[0].heads), ['0.0'])
    await until(() => !!page.live.at(-1)?.bundle)
    const { live, bundle } = page.live.at(-1)!
    assert.deepEqual(live, bundleOf(explorer)[EXPLORER_MIME])
    assert.deepEqual(Object.keys(bundle!), [EXPLORER_MIME, 'image/svg+xml', 'text/plain'])
    assert.equal(live.runs[0].lastStep, 29)
    const steps = page.live.map((message) => message.live.runs[0].lastStep)
    assert.deepEqual(
      steps,
      steps.toSorted((a, b) => a - b),
    )
    // Each is the cache as it was then.
    const { trace } = session
    for (const message of page.live) {
      const step = message.live.runs[0].lastStep
      const { slots } = trace.cacheAt({ step, layer: 0, kvHead: 0 })
      assert.equal((await storyIn(message.live, '0.0')).at(step).slots, slots.length)
    }
  })

  it('goes on with the head that the page shows', async () => {
    await session.prefill(TEXT, { progress: false })
    const page = pageOf(documentOf(explorer))
    assert.ok(page.live[0].bundle)
    page.ask({ run: 0, key: '1.1' })
    assert.equal(typeof page.sent.at(-1)!.head, 'string')
    await session.step(5)
    assert.deepEqual(Object.keys(page.live.at(-1)!.live.runs[0].heads), ['1.1'])
  })

  it('says so too when a run is stopped or fails', async () => {
    await session.prefill(TEXT, { progress: false })
    const page = pageOf(documentOf(explorer))
    const stop = new AbortController()
    const run = session.generate('', {
      maxTokens: 500,
      ignoreEos: true,
      signal: stop.signal,
      progress: ({ done }) => done === 5 && stop.abort(),
    })
    assert.equal((await run).stopped, 'aborted')
    await until(() => page.live.filter(({ bundle }) => bundle).length === 2)
    assert.equal(page.live.at(-1)!.live.runs[0].lastStep, session.trace.lastStep)
    await assert.rejects(session.append([-1]), { code: 'invalid' })
    await until(() => page.live.filter(({ bundle }) => bundle).length === 3)
  })

  it('lets the session be once the page has gone, and where a page cannot be told', async () => {
    const page = pageOf(documentOf(explorer))
    await session.prefill(TEXT, { progress: false })
    page.send = () => {
      throw new Error('closed')
    }
    await session.step(5)
    page.send = (data) => void page.sent.push(data)
    const before = page.sent.length
    page.leave()
    await session.generate('', { maxTokens: 3, ...quiet })
    await new Promise((resolve) => setTimeout(resolve, 400))
    assert.equal(page.sent.length, before)
  })

  it('takes a tenth of the time at most, and tells ten times a second at most', async () => {
    for (const [cost, most] of [
      [0, 100],
      [4, 100],
      [50, 20],
    ]) {
      let now = 0
      const sent: number[] = []
      const view = () => {
        sent.push(now)
        now += cost
        return { runs: [] } as unknown as ExplorerData
      }
      const live = new Live([], { now: view, whole: () => undefined }, new PageEnd(), () => now)
      for (; now < 10_000; now++) await live.moved()
      live.end()
      assert.ok(sent.length <= most && sent.length > 0.8 * most, `${sent.length} of cost ${cost}`)
    }
  })

  it('a session goes on though the look at it is cut off', async () => {
    const uncaught = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    let cut = 0
    process.on('uncaughtException', () => void cut++)
    const view = () => undefined
    const clock = () => {
      if (looking) throw new Error('cut off')
      return 0
    }
    let looking = false
    const live = new Live([], { now: view, whole: view }, new PageEnd(), clock)
    try {
      const moved = live.moved()
      looking = true
      await moved
      assert.equal(cut, 1)
    } finally {
      looking = false
      live.end()
      process.removeAllListeners('uncaughtException')
      for (const listener of uncaught) process.on('uncaughtException', listener)
    }
  })

  it('shows a session that works, a trace that is over, and refuses what keeps no events', async () => {
    const running = session.generate(TEXT, { maxTokens: 20, ...quiet })
    const data = documentOf(explore(session))
    assert.equal(data.live, true)
    const { trace } = await running
    assert.equal(documentOf(explore(trace)).live, undefined)
    const silent = model.session({ trace: false })
    assert.throws(() => explore(silent), /kept no events/)
    assert.throws(() => explore(session, { layer: 99 }), /layer/)
    silent.dispose()
  })
})
