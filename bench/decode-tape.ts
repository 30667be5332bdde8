/**
 * What the tape costs whole decode steps of the default model under ZSMerge: CPU time of the process, one thread, with every event noted against
 * none; steps in turns, pairs swap their order. Medians (10th–90th of a hundred).
 *   npx tsx bench/decode-tape.ts [rounds = 250] [prompt tokens = 2304]
 */
import { loadavg } from 'node:os'
import { load, zsmerge, type Session } from '../src/index.js'
import { text } from './text.js'

const [rounds = 250, promptTokens = 2304] = process.argv.slice(2).map(Number)

function spread(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))].toFixed(3)
  return `${at(0.5)} (${at(0.1)}–${at(0.9)})`
}

/** Milliseconds of CPU time of one step. */
async function step(session: Session, id: number): Promise<number> {
  const before = process.cpuUsage()
  await session.step(id, { progress: false })
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

const model = await load('smollm2-135m', { threads: 1, progress: false })
const ids = text(model, promptTokens + rounds)
console.log(`${promptTokens} tokens of prompt, ${rounds} pairs of steps; load ${loadavg()[0].toFixed(1)}`)
for (const budget of [512, 2048]) {
  const [off, events] = [false, true].map((trace) => model.session({ policy: zsmerge({ budget }), trace }))
  for (const session of [off, events]) await session.prefill(ids.slice(0, promptTokens), { progress: false })
  const [base, share]: number[][] = [[], []]
  for (let round = 0; round < rounds; round++) {
    const id = ids[promptTokens + round]
    const first = round % 2 ? await step(events, id) : 0
    const without = await step(off, id)
    const noted = first || (await step(events, id))
    base.push(without)
    share.push(noted / without)
  }
  console.log(`budget ${String(budget).padStart(4)}: off ${spread(base)} ms a token, events : off ${spread(share)}`)
  off.dispose()
  events.dispose()
}
model.dispose()
