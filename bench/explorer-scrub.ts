/**
 * Scrubbing through 32,768 tokens in the trace explorer, in a real JupyterLab in headless Chromium: → held for some seconds, one event of the
 * keyboard after the other as fast as the page takes them. Prints the interval between animation frames (median, 95th percentile, longest),
 * what the page's main thread computed for a frame (processor time, so other programs do not count), how many steps went by, and how
 * many bytes the output took.
 *   npx tsx bench/explorer-scrub.ts [seconds = 5] [tokens = 32768] [budget = 3277]
 */
import { loadavg } from 'node:os'
import type { Page } from 'playwright-core'
import { createCache, explore, Trace, zsmerge } from '../src/index.js'
import type { Receipt } from '../src/index.js'
import { findTool } from '../scripts/python.mjs'
import { Lab, makeJupyter, notebookOf } from '../test/lab/lab.js'

const [seconds = 5, tokens = 32_768, budget = 3277] = process.argv.slice(2).map(Number)
const [layers, heads, kvHeads, headDim] = [2, 2, 2, 8]
const PROMPT = 1024
const WORDS = ' the| of| whale|,| and| a| to| sea|.| in| that| his| Ahab| it| I| ship|\n| as| with| all'.split('|')

/** The tape of a real cache fed with noise: as many events as a run of that length has. */
async function traceMade(): Promise<Trace> {
  const cache = createCache({ layers, heads, kvHeads, headDim, policy: zsmerge({ budget, residual: 4 }), trace: true })
  let state = 1
  const noise = (length: number) =>
    Float32Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 31 - 1
    })
  for (let layer = 0; layer < layers; layer++)
    await cache.prefill(
      layer,
      noise(heads * PROMPT * headDim),
      noise(kvHeads * PROMPT * headDim),
      noise(kvHeads * PROMPT * headDim),
    )
  for (let token = PROMPT; token < tokens; token++)
    for (let layer = 0; layer < layers; layer++)
      await cache.step(layer, noise(heads * headDim), noise(kvHeads * headDim), noise(kvHeads * headDim))
  const events = cache.events()
  const receipt: Receipt = cache.receipt()
  const states = Array.from({ length: layers }, (_, layer) => cache.state(layer))
  const data = {
    model: 'noise',
    policyName: 'zsmerge',
    layers,
    kvHeads,
    promptTokens: PROMPT,
    steps: tokens - PROMPT,
    tokens: Array.from({ length: tokens }, (_, position) => ({
      id: 0,
      text: WORDS[(position * 7919) % WORDS.length],
      position,
      prompt: position < PROMPT,
    })),
    resolved: cache.resolved!,
    events,
    origins: states.map(({ origins, residual }) => ({ kvHeads: origins, residual: [...residual] })),
    bytes: { parts: [], total: 0, peak: 0, fullCache: 0 },
  }
  return new Trace(events, () => ({ card: {}, receipt, data: () => data }) as never)
}

/** Intervals between the page's animation frames while → is held; what the main thread computed meanwhile, ms. */
async function held(page: Page): Promise<{ intervals: number[]; busyMs: number }> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const busy = async () => {
    const { metrics } = await session.send('Performance.getMetrics')
    return 1000 * metrics.find(({ name }) => name === 'TaskDuration')!.value
  }
  await page.evaluate(
    'window.frames_ = []; window.loop_ = (at) => { frames_.push(at); window.next_ = requestAnimationFrame(loop_) }; requestAnimationFrame(loop_)',
  )
  const before = await busy()
  const until = Date.now() + 1000 * seconds
  while (Date.now() < until) await page.keyboard.down('ArrowRight')
  await page.keyboard.up('ArrowRight')
  const busyMs = (await busy()) - before
  const frames = await page.evaluate<number[]>('cancelAnimationFrame(next_); frames_')
  return { intervals: frames.slice(1).map((at, i) => at - frames[i]), busyMs }
}

const browser =
  process.env.ZSLAB_BROWSER ??
  ['chromium', 'chromium-browser', 'google-chrome'].map((name) => findTool(name)).find(Boolean)
if (!browser) console.log('explorer-scrub: no browser; apt-get install chromium, or set ZSLAB_BROWSER to one')
else {
  makeJupyter()
  const trace = await traceMade()
  const from = performance.now()
  const explorer = explore(trace, { layer: 0, kvHead: 0 })
  const bundle = (explorer as unknown as Record<symbol, () => Record<string, unknown>>)[Symbol.for('Jupyter.display')]()
  const madeMs = performance.now() - from
  const bytes = Buffer.byteLength(JSON.stringify(bundle))
  const document = bundle['application/vnd.zslab.explorer.v1+json'] as { runs: { heads: object }[] }
  const inIt = Object.keys(document.runs[0].heads).length
  console.log(
    `${tokens} tokens, budget ${budget}, ${layers * kvHeads} kv heads, ${trace.length} events: output of ${(bytes / 1e6).toFixed(2)} MB with ${inIt} heads, made in ${madeMs.toFixed(0)} ms`,
  )
  const output = { output_type: 'execute_result', execution_count: 1, data: bundle, metadata: {} }
  const lab = await Lab.start(browser, {
    'long.ipynb': notebookOf([{ id: 'long', source: 'explore(run)', outputs: [output] }]),
  })
  try {
    const page = await lab.open('long.ipynb')
    const opening = performance.now()
    await page.locator('.zsx-token').first().waitFor({ timeout: 120_000 })
    console.log(`the text is there ${(performance.now() - opening).toFixed(0)} ms after the notebook`)
    await page.locator('.zsx-scrubber').focus()
    const stepNow = async () =>
      Number((await page.locator('.zsx-step').innerText()).replace(/^step ([\d,]+).*$/, '$1').replaceAll(',', ''))
    for (const start of [0, Math.floor((tokens - PROMPT) / 2)]) {
      for (let at = 0; at < start; at += 1000)
        for (let i = 0; i < 10; i++) await page.keyboard.press('Control+ArrowRight')
      const [first, { intervals, busyMs }] = [await stepNow(), await held(page)]
      const steps = (await stepNow()) - first
      const sorted = intervals.toSorted((a, b) => a - b)
      const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))].toFixed(1)
      console.log(
        `from step ${first}, → held ${seconds} s: ${intervals.length} frames, interval median ${at(0.5)} ms, p95 ${at(0.95)}, longest ${at(1)}; ` +
          `${(busyMs / intervals.length).toFixed(1)} ms of the main thread a frame; ${steps} steps; load ${loadavg()[0].toFixed(1)}`,
      )
    }
  } finally {
    await lab.stop()
  }
}
