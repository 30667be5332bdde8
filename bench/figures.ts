/**
 * The first paint of figures and of the explorer of a long run, made up at the size of 32,768 tokens × 32 layers × 32 kv heads: milliseconds of CPU
 * from the data to what a notebook is sent, how often as long as one pass over the same events takes, and bytes of the largest part. Then what
 * looking into a long figure takes: the middle tenth of all that it counts, and its middle 50.
 *   npx tsx bench/figures.ts [rounds = 3] [tokens = 32768] [layers = 32] [kv heads = 32] [steps = 64]
 */
import { loadavg } from 'node:os'
import { explore, figures, Trace, type Figure } from '../src/index.js'
import type { Part } from '../src/figures/part.js'
import type { RunData } from '../src/trace/data.js'
import { ACTION } from '../src/trace/actions.js'

const [rounds = 3, tokens = 32768, layers = 32, kvHeads = 32, steps = 64] = process.argv.slice(2).map(Number)

/** A tenth of the prompt stays, evenly spread and the newest; the rest is dropped when it was read, then one for each step. */
function runOf(): RunData {
  const budget = Math.floor(tokens / 10)
  const recent = Math.floor(budget / 2)
  const prompt = tokens - steps
  const heads = layers * kvHeads
  const kept = budget - recent
  const older = prompt - recent
  const every = Math.floor(older / kept)
  const lost = older - kept
  const count = heads * (lost + budget + 3 * steps)
  const events = {
    count,
    step: new Int32Array(count),
    layer: new Uint16Array(count),
    kvHead: new Uint16Array(count),
    action: new Uint8Array(count),
    reason: new Uint8Array(count),
    position: new Int32Array(count),
    slot: new Int32Array(count).fill(-1),
    target: new Int32Array(count).fill(-1),
    rank: new Int32Array(count).fill(-1),
    score: new Float32Array(count),
    threshold: new Float32Array(count),
    similarity: new Float32Array(count).fill(NaN),
    targetScore: new Float32Array(count).fill(NaN),
    weight: new Float32Array(count).fill(1),
    targetWeight: new Float32Array(count),
  }
  let [row, state] = [0, 1]
  /** Above zero, as scores are; they deflate as badly. */
  const noise = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const note = (step: number, head: number, action: number, position: number) => {
    events.step[row] = step
    events.layer[row] = Math.floor(head / kvHeads)
    events.kvHead[row] = head % kvHeads
    events.action[row] = action
    if (action === ACTION.drop) [events.score[row], events.threshold[row]] = [noise(), noise()]
    events.position[row++] = position
  }
  const held = Array.from({ length: heads }, (_, head) => {
    const own: number[] = []
    for (let position = 0; position < older; position++) {
      const stays = (position + head) % every === 0 && own.length < kept
      if (stays) own.push(position)
      note(0, head, stays ? ACTION.admit : ACTION.drop, position)
    }
    for (let position = older; position < prompt; position++) note(0, head, ACTION.admit, position)
    return own
  })
  for (let step = 1; step <= steps; step++)
    held.forEach((own, head) => {
      const victim = (step * 7 + head) % own.length
      note(step, head, ACTION.drop, own[victim])
      own[victim] = older + step - 1
      note(step, head, ACTION.leave, own[victim])
      note(step, head, ACTION.admit, prompt + step - 1)
    })
  for (const name of Object.keys(events) as (keyof typeof events)[])
    if (name !== 'count') Object.assign(events, { [name]: events[name].subarray(0, row) })
  const newest = Array.from({ length: recent }, (_, i) => prompt + steps - recent + i)
  return {
    model: 'made up',
    policyName: 'made up',
    layers,
    kvHeads,
    promptTokens: prompt,
    steps,
    tokens: Array.from({ length: tokens }, (_, position) => ({
      id: 0,
      text: ' a',
      position,
      prompt: position < prompt,
    })),
    output: { ids: [], texts: [], logprobs: new Float64Array(0) },
    resolved: { budget, recent, residual: 0, sink: 0, context: kept, window: 0 } as RunData['resolved'],
    events: { ...events, count: row },
    origins: Array.from({ length: layers }, (_, layer) => ({
      kvHeads: held.slice(layer * kvHeads, (layer + 1) * kvHeads).map((own) => {
        const positions = Int32Array.from([...own, ...newest])
        return Array.from(positions, (_, slot) => positions.subarray(slot, slot + 1))
      }),
      residual: Array.from({ length: kvHeads }, () => 0),
    })),
    bytes: { parts: [], total: 0, peak: 0, fullCache: 0 },
  }
}

const data = runOf()
const { events } = data
console.log(
  `${tokens} tokens × ${layers} layers × ${kvHeads} kv heads: ${events!.step.length} events; load ${loadavg()[0].toFixed(1)}`,
)

/** What any figure of all heads has to do at least: read each event's head, action, position and step once. */
function onePass(): number {
  const { step, layer, kvHead, action, position } = events!
  let sum = 0
  for (let row = 0; row < step.length; row++)
    sum = (sum + step[row] + layer[row] * kvHeads + kvHead[row] + action[row] + position[row]) | 0
  return sum
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]
/** Of this process, all threads. */
const timed = (work: () => unknown) => {
  const from = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(from)
  return (user + system) / 1000
}

const DISPLAY = Symbol.for('Jupyter.display')
const trace = new Trace(data.events, () => ({ card: {}, receipt: undefined, data: () => data }) as never)
const DRAWN: Record<string, () => unknown> = {
  survival: () => figures.survival(data),
  'survival by layer': () => figures.survival(data, { by: 'layer' }),
  'eviction map': () => figures.evictionMap(data),
  'token strip': () => figures.tokenStrip(data),
  'eviction map by slot': () => figures.evictionMap(data, { by: 'slot' }),
  explorer: () => explore(trace),
}
/** The middle of each span, `length` of it. */
const middle = (whole: Part, length: (all: number) => number): Part =>
  Object.fromEntries(
    Object.entries(whole).map(([name, [from, to]]) => {
      const own = Math.min(to - from, Math.max(1, Math.round(length(to - from))))
      const start = from + ((to - from - own) >> 1)
      return [name, [start, start + own]]
    }),
  )

for (const [name, draw] of Object.entries(DRAWN)) {
  const [times, ratios]: number[][] = [[], []]
  let sizes: number[] = []
  for (let round = 0; round < rounds; round++) {
    const pass = timed(onePass)
    times.push(
      timed(() => {
        const figure = draw() as unknown as Record<symbol, () => Record<string, unknown>>
        sizes = Object.values(figure[DISPLAY]()).map((part) => JSON.stringify(part).length)
      }),
    )
    ratios.push(times.at(-1)! / pass)
  }
  console.log(
    `${name.padEnd(20)} ${median(times).toFixed(0)} ms of CPU (first ${times[0].toFixed(0)}), ${median(ratios).toFixed(1)} × a pass over the events; largest part ${(Math.max(...sizes) / 1e6).toFixed(2)} MB`,
  )
  const figure = draw()
  const shown = (figure as Record<symbol, () => Record<string, unknown>>)[DISPLAY]()['application/vnd.plotly.v1+json']
  const { zoom } = (shown as { layout: { meta?: { zoom?: { whole: Part } } } } | undefined)?.layout.meta ?? {}
  if (!zoom) continue
  const parts = [(all: number) => all / 10, () => 50].map((length) => {
    let bytes = 0
    const tiles = Array.from({ length: rounds }, () =>
      timed(() => (bytes = JSON.stringify((figure as Figure).part(middle(zoom.whole, length)).plotly).length)),
    )
    return `${median(tiles).toFixed(0)} ms, ${(bytes / 1e6).toFixed(2)} MB`
  })
  console.log(`${''.padEnd(20)} a tenth of it: ${parts[0]}; 50 of each: ${parts[1]}`)
}
