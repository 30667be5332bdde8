/**
 * What each level of a trace costs beside none: CPU time of decode steps of the default model under ZSMerge, sessions in turns, step by step.
 *   npx tsx bench/levels.ts [steps = 200] [budgets = 512,2048] [prompt tokens = 3000]
 */
import { loadavg } from 'node:os'
import { load, zsmerge, type TraceOption } from '../src/index.js'
import { text } from './text.js'

const [steps = '200', budgets = '512,2048', promptTokens = '3000'] = process.argv.slice(2)
const LEVELS: Record<string, TraceOption> = {
  off: 'off',
  events: 'events',
  scores: 'scores',
  'scores of one layer': { level: 'scores', layers: [3] },
  'scores, every 10th step': { level: 'scores', every: 10 },
  vectors: 'vectors',
  'off again': 'off',
}

const at = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))]

const model = await load('smollm2-135m', { progress: false, threads: 1 })
const source = model.session({ forkable: true })
await source.prefill(text(model, Number(promptTokens)), { progress: false })
for (const budget of budgets.split(',').map(Number)) {
  const sessions = await Promise.all(
    Object.entries(LEVELS).map(async ([name, trace]) => {
      const [session] = await source.forks([zsmerge({ budget })], { trace, progress: false })
      return { name, session, cpu: [] as number[] }
    }),
  )
  for (let step = 0; step < Number(steps); step++)
    for (const { session, cpu } of step % 2 ? sessions : sessions.toReversed()) {
      const from = process.cpuUsage()
      await session.step(100 + step)
      const { user, system } = process.cpuUsage(from)
      cpu.push((user + system) / 1000)
    }
  const off = at(sessions[0].cpu, 0.5)
  console.log(
    `budget ${budget}, ${steps} steps after ${promptTokens} tokens, one thread; load ${loadavg()[0].toFixed(1)}`,
  )
  for (const { name, session, cpu } of sessions) {
    const half = `${at(cpu, 0.25).toFixed(2)}–${at(cpu, 0.75).toFixed(2)}`
    console.log(
      `  ${name.padEnd(24)} ${at(cpu, 0.5).toFixed(2)} ms (${half}), ${(at(cpu, 0.5) / off).toFixed(3)} × off`,
    )
    session.dispose()
  }
}
model.dispose()
