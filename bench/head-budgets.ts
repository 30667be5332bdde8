/**
 * What budgets by head cost and win on the default model: a decode step after a long prompt, budgets by a measure of heads beside the same for all,
 * in turns (CPU time of the process; medians, least–most), and KL at equal bytes over texts, paired.
 *   npx tsx bench/head-budgets.ts [by = duoOnTheFly] [prompt tokens = 8000] [total = 0.1] [steps = 100] [texts = 8] [tokens = 1024] [rule = proportional]
 */
import { loadavg } from 'node:os'
import { inspect } from 'node:util'
import {
  compareBudgets,
  fullCache,
  HEAD_MEASURES,
  headImportance,
  load,
  zsmerge,
  type BudgetRule,
} from '../src/index.js'
import { text } from './text.js'

const by = process.argv[2] ?? 'duoOnTheFly'
const [prompt = 8000, total = 0.1, steps = 100, texts = 8, tokens = 1024] = process.argv.slice(3, 8).map(Number)
const rule = (process.argv[8] ?? 'proportional') as BudgetRule
const quiet = { progress: false } as const

const model = await load('smollm2-135m', quiet)
const parts = text(model, (texts + 4) * tokens)
const part = (i: number) => parts.slice(i * tokens, (i + 1) * tokens)
const needs = HEAD_MEASURES.find(({ name }) => name === by)?.needs === 'policy' && {
  policy: zsmerge({ budget: total }),
}
const importance = await headImportance(model, [0, 1, 2, 3].map(part), { by, ...needs, ...quiet })
const { budgets } = importance.suggestBudgets({ by, total, rule })

console.log(`load ${loadavg()[0].toFixed(1)}`)
const read = model.session({ policy: fullCache(), forkable: true })
await read.prefill(text(model, prompt), quiet)
const [uniform] = await read.forks([zsmerge({ budget: total })], quiet)
const own = await read.fork({ policy: zsmerge({ budget: total }), budgets, ...quiet })
const took = { uniform: [] as number[], own: [] as number[] }
for (let step = 0; step < steps; step++)
  for (const name of step % 2 ? (['own', 'uniform'] as const) : (['uniform', 'own'] as const)) {
    const before = process.cpuUsage()
    await { uniform, own }[name].step(parts[step])
    const { user, system } = process.cpuUsage(before)
    took[name].push((user + system) / 1000)
  }
const ratios = took.own.map((ms, i) => ms / took.uniform[i]).toSorted((a, b) => a - b)
const at = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))].toFixed(3)
console.log(
  `a decode step after ${prompt} tokens at ${100 * total}%: ${at(took.own, 0.5)} ms by ${by}, ${at(took.uniform, 0.5)} ms uniform; share ${at(ratios, 0.5)} (middle half ${at(ratios, 0.25)}–${at(ratios, 0.75)})`,
)
for (const session of [uniform, own, read]) session.dispose()

const held = Array.from({ length: texts }, (_, i) => part(i + 4))
console.log(inspect(await compareBudgets(model, { uniform: total, [by]: budgets }, { texts: held, ...quiet })))
model.dispose()
