/**
 * Which measure of heads predicts the damage, on the default model: texts of Moby Dick, measured on the first half of them and judged on the others,
 * by ablation and by compression; CPU seconds of each.
 *   npx tsx bench/judge.ts [texts = 8] [tokens = 256] [budget = 0.1]
 */
import { inspect } from 'node:util'
import { headImportance, load } from '../src/index.js'
import { text } from './text.js'

const [texts = 8, tokens = 256, budget = 0.1] = process.argv.slice(2).map(Number)
const BY = ['ablation', 'outputNorm', 'entropy', 'sinkMass', 'locality', 'kvzip', 'duoOnTheFly', 'echo', 'induction']

const model = await load('smollm2-135m', { progress: false })
const all = text(model, 2 * texts * tokens)
const parts = Array.from({ length: 2 * texts }, (_, i) => all.slice(i * tokens, (i + 1) * tokens))

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const [before, started] = [process.cpuUsage(), performance.now()]
  const found = await work()
  const { user, system } = process.cpuUsage(before)
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`${what}: ${((user + system) / 1e6).toFixed(0)} s of CPU, ${seconds} s`)
  return found
}

const importance = await timed('measured', () =>
  headImportance(model, parts.slice(0, texts), { by: BY, progress: false }),
)
const others = { texts: parts.slice(texts), progress: false }
console.log(inspect(await timed('ablated', () => importance.judge(others))))
console.log(inspect(await timed('compressed', () => importance.judge({ ...others, budget }))))
model.dispose()
