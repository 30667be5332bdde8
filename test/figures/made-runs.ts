/** Runs that figures are drawn from: made once, by hand, with texts that nobody wants, and of any shape. */
import fc from 'fast-check'
import type { RunData } from '../../src/figures/data.js'
import type { Mark } from '../../src/figures/plot.js'
import { runMade as runAfresh, runOf, type Made } from './synthetic.js'

const made = new Map<string, RunData>()

/** Runs are only read, and the large ones take a while. */
export function runMade(options: Made = {}): RunData {
  const key = JSON.stringify(options)
  let data = made.get(key)
  if (!data) made.set(key, (data = runAfresh(options)))
  return data
}

/** A full-cache run: nothing ever leaves. */
export function fullRun(options: Made = {}): RunData {
  const tokens = (options.prompt ?? 3000) + (options.steps ?? 200)
  const data = runMade({ ...options, budget: tokens + 1, policyName: 'full' })
  return { ...data, resolved: { ...data.resolved, budget: 0, recent: 0, residual: 0, context: 0 } }
}

const NASTY = [
  '',
  ' ',
  '\n',
  '\r\n',
  '\u0000',
  '\ud83d',
  '\ude00',
  ']]>',
  '<!--',
  '&amp;',
  '"',
  '鯨'.repeat(90),
  'x'.repeat(400),
  '\u200b',
  '__proto__',
]

export function nasty(data: RunData): RunData {
  return { ...data, tokens: data.tokens.map((token, i) => ({ ...token, text: NASTY[i % NASTY.length] })) }
}

/** One head with two residual slots, made of a prompt of 8 tokens, then three merges. */
export const lineageByHand = (): RunData =>
  runOf({
    prompt: 8,
    steps: 3,
    sizes: { budget: 5, recent: 2, residual: 2, sink: 0, context: 1, window: 0 },
    events: [
      [0, 'merge', 1, 0, 0.5],
      [0, 'merge', 4, 1, 0.25],
      [1, 'merge', 5, 1, 0.75, 2],
      [2, 'merge', 6, 0, 1, 4],
      [3, 'merge', 7, 1, 2, -1],
    ],
    slots: [[0, 1, 6], [3, 4, 5, 7], [2], [8], [9], [10]],
  })

/** Runs of any shape that the engine allows. */
export const anyRun = fc
  .record({
    prompt: fc.integer({ min: 1, max: 90 }),
    steps: fc.integer({ min: 0, max: 40 }),
    residual: fc.integer({ min: 0, max: 7 }),
    recent: fc.integer({ min: 1, max: 20 }),
    context: fc.integer({ min: 1, max: 20 }),
    layers: fc.integer({ min: 1, max: 3 }),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    seed: fc.integer({ min: 0, max: 1 << 30 }),
    firstTokens: fc.boolean(),
  })
  .map(({ context, ...made }) => ({ ...made, budget: made.recent + made.residual + context }))

/** The positions that boxes and dots of a panel stand at, ascending. */
export const positionsDrawn = (marks: readonly Mark[]): number[] =>
  marks
    .flatMap((mark) => {
      if (mark.kind === 'boxes')
        return mark.x0.flatMap((x0, i) => Array.from({ length: mark.x1[i] - x0 }, (_, at) => x0 + at))
      return mark.kind === 'points' ? mark.x.map((x) => x - 0.5) : []
    })
    .sort((a, b) => a - b)
