/**
 * Saving and opening the trace of one run of the default model under ZSMerge at 10%: milliseconds, size, and how often as long as writing the
 * bare columns to the same disk takes.
 *   npx tsx bench/trace-files.ts [rounds = 7] [prompt tokens = 4096] [steps = 64]
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { load, Trace, zsmerge } from '../src/index.js'
import { text } from './text.js'

const [rounds = 7, promptTokens = 4096, steps = 64] = process.argv.slice(2).map(Number)

const sorted = (values: number[]) => values.toSorted((a, b) => a - b)
const at = (values: number[], share: number) => sorted(values)[Math.round(share * (values.length - 1))]
const shown = (values: number[], digits: number) =>
  `${at(values, 0.5).toFixed(digits)} (${at(values, 0).toFixed(digits)}–${at(values, 1).toFixed(digits)})`

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

const folder = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
try {
  const model = await load('smollm2-135m', { progress: false })
  const session = model.session({ policy: zsmerge({ budget: 0.1 }), trace: true })
  const { trace } = await session.generate(text(model, promptTokens), {
    maxTokens: steps + 1,
    ignoreEos: true,
    progress: false,
  })
  const { count, ...columns } = trace.columns()
  const bare = Buffer.concat(
    Object.values(columns).map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  )
  console.log(
    `${promptTokens} tokens and ${steps} steps: ${count} events, ${(bare.length / 1e6).toFixed(1)} MB in memory; load ${loadavg()[0].toFixed(1)}`,
  )
  for (const ending of ['.arrow', '.parquet']) {
    const path = join(folder, `x${ending}`)
    const [saves, opens, ratios]: number[][] = [[], [], []]
    for (let round = 0; round < rounds; round++) {
      const write = await timed(() => writeFile(join(folder, 'bare'), bare))
      saves.push(await timed(() => trace.save(path)))
      opens.push(await timed(() => Trace.open(path)))
      ratios.push(saves.at(-1)! / write)
    }
    const megabytes = (statSync(path).size / 1e6).toFixed(1)
    console.log(
      `${ending.padEnd(9)} saved in ${shown(saves, 0)} ms (first ${saves[0].toFixed(0)}), ${shown(ratios, 1)} × the bare columns; ${megabytes} MB; opened in ${shown(opens, 0)} ms`,
    )
  }
  model.dispose()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
