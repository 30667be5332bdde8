/**
 * Sessions in a batch beside the same sessions one after another: tokens a second of all of them together, each at its own text of so many
 * tokens under the full cache, the weights as load() holds them. Both take turns; a ratio is of one turn, by the clock and by CPU time. That both
 * write the same logits is checked at the first. Medians, 10th–90th of a hundred; of the default file and of an F16 file of its shape (made here),
 * on the best instruction set and on AVX2.
 *   npx tsx bench/batch.ts [turns = 11] [sessions = 16] [tokens = 1024]
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { basename, join } from 'node:path'
import { load, type Isa, type Model } from '../src/index.js'
import { projectRoot } from '../src/native/binding.js'
import { makeBenchModel } from './make-bench-model.js'
import { text } from './text.js'

const NAME = 'smollm2-135m'

const [turns = 11, count = 16, tokens = 1024] = process.argv.slice(2).map(Number)
/** Tokens of each session in a turn. */
const BLOCK = 4

const at = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))]
const shown = (values: number[], digits: number) =>
  `${at(values, 0.5).toFixed(digits)} (${at(values, 0.1).toFixed(digits)}–${at(values, 0.9).toFixed(digits)})`

interface Took {
  ms: number
  cpu: number
}

async function timed(work: () => Promise<void>): Promise<Took> {
  const [from, cpu] = [performance.now(), process.cpuUsage()]
  await work()
  const ms = performance.now() - from
  const { user, system } = process.cpuUsage(cpu)
  return { ms, cpu: (user + system) / 1000 }
}

async function measure(model: Model): Promise<void> {
  const ids = text(model, count * tokens)
  const alone = Array.from({ length: count }, () => model.session({ origins: false }))
  for (const [i, session] of alone.entries())
    await session.prefill(ids.slice(i * tokens, (i + 1) * tokens), { progress: false })
  const together = await Promise.all(alone.map((session) => session.fork()))
  const batch = model.batch(together)
  const quiet = { progress: false }
  const rates: Record<'alone' | 'batch', number[]> = { alone: [], batch: [] }
  const [clock, cpu]: [number[], number[]] = [[], []]
  for (let turn = 0; turn < turns; turn++) {
    const feed = Array.from({ length: BLOCK }, (_, i) => ids[turn * BLOCK + i])
    const rows: Float32Array[] = []
    const single = await timed(async () => {
      for (const id of feed) for (const session of alone) rows.push(await session.step(id, quiet))
    })
    const joined: (Float32Array | Error)[] = []
    const side = await timed(async () => {
      for (const id of feed)
        joined.push(
          ...(await batch.step(
            together.map(() => id),
            quiet,
          )),
        )
    })
    if (!turn) assert.deepEqual(joined, rows)
    rates.alone.push((1000 * count * BLOCK) / single.ms)
    rates.batch.push((1000 * count * BLOCK) / side.ms)
    clock.push(single.ms / side.ms)
    cpu.push(single.cpu / side.cpu)
  }
  const { isa, threads } = model.engine.info
  console.log(
    `${isa}, ${threads} threads, weights ${model.weights}: ${count} sessions at ${tokens} tokens, ${turns} turns of ${BLOCK} tokens each; median (10th–90th of a hundred)`,
  )
  console.log(`one after another  ${shown(rates.alone, 0)} tokens/s`)
  console.log(`in a batch         ${shown(rates.batch, 0)} tokens/s`)
  console.log(`ratio              ${shown(clock, 2)} by the clock, ${shown(cpu, 2)} by CPU time`)
  batch.dispose()
  for (const session of alone) session.dispose()
}

const folder = join(projectRoot, 'build/bench')
const f16 = join(folder, `${NAME}-f16.gguf`)
mkdirSync(folder, { recursive: true })
if (!existsSync(f16)) await makeBenchModel(f16, NAME)
for (const file of [NAME, f16])
  for (const isa of [undefined, 'avx2'] as (Isa | undefined)[]) {
    console.log(`${basename(file)}, load ${loadavg()[0].toFixed(1)}`)
    const model = await load(file, { isa, progress: false })
    await measure(model)
    model.dispose()
  }
