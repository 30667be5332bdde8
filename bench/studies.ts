/**
 * What studies cost beside the model's own work. Sharing: 24 settings over one prompt, beside reading it once and 24 decodes of as many tokens by themselves;
 * overhead: a kept study beside its trials carried out with nothing around them; processes: two of one thread beside one of one thread; store: opening 100,000 trials.
 * Ratios of one round each, in turns: of wall time and of CPU time, which says more on a busy machine.
 *   npx tsx bench/studies.ts [parts = sharing,overhead,processes,store] [rounds = 3] [prompts = 24] [seeds of each = 1; 18: an overhead of five minutes]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { languageModelling, load, sweep, zsmerge, type Model, type Study } from '../src/index.js'
import { doJob } from '../src/experiments/hand.js'
import { measuring } from '../src/experiments/measures/index.js'
import { callOf, promptFacts } from '../src/experiments/trial.js'
import { TrialStore } from '../src/experiments/store.js'
import { text } from './text.js'

const [parts = 'sharing,overhead,processes,store', ...counts] = process.argv.slice(2)
const [rounds = 3, prompts = 24, seeds = 1] = counts.map(Number)
const quiet = { progress: false, watch: null } as const
const over = { budget: [0.05, 0.1, 0.2, 0.4], alpha: [0, 1], decay: [0.9, 0.98, 1] }
const POLICIES = over.budget.flatMap((budget) =>
  over.alpha.flatMap((alpha) => over.decay.map((decay) => zsmerge({ budget, alpha, decay }))),
)

const at = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))]
const shown = (values: readonly number[], digits = 2) =>
  `${at(values, 0.5).toFixed(digits)} (${at(values, 0).toFixed(digits)}–${at(values, 1).toFixed(digits)})`

interface Took {
  wall: number
  cpu: number
}

/** In seconds; CPU time of this process. */
async function took(work: () => Promise<unknown>): Promise<Took> {
  const [from, before] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wall: (performance.now() - from) / 1000, cpu: (user + system) / 1e6 }
}

function say(name: string, a: readonly Took[], b: readonly Took[]): void {
  const ratio = (of: keyof Took) => shown(a.map((one, i) => one[of] / b[i][of]))
  console.log(
    `${name}: wall ${ratio('wall')}, CPU ${ratio('cpu')}; ${shown(a.map(({ wall }) => wall))} s : ${shown(b.map(({ wall }) => wall))} s`,
  )
}

async function sharing(model: Model): Promise<void> {
  const [tokens, rows] = [4096, 32]
  const ids = text(model, tokens + rows)
  const studies: Took[] = []
  const least: Took[] = []
  for (let round = 0; round < rounds; round++) {
    const task = languageModelling({ text: [ids], tokens: tokens + rows, rows })
    studies.push(await took(() => sweep({ model, task, policy: zsmerge, over }).run(quiet)))
    const reading = model.session({ forkable: 'all' })
    const read = await took(() => reading.prefill(ids.slice(0, tokens), quietCall))
    const forks = await reading.forks(POLICIES, quietCall)
    const decode = await took(async () => {
      for (const fork of forks) for (const id of ids.slice(tokens)) await fork.step(id)
    })
    for (const one of [...forks, reading]) one.dispose()
    least.push({ wall: read.wall + decode.wall, cpu: read.cpu + decode.cpu })
  }
  say(`sharing: 24 settings over ${tokens} tokens ÷ (one reading + 24 decodes of ${rows})`, studies, least)
}
const quietCall = { progress: false } as const

function studyOf(model: Model, store?: string): Study {
  const task = languageModelling({ texts: prompts, tokens: 512, rows: 32 })
  return sweep({
    model,
    task,
    policy: zsmerge,
    base: { budget: 0.1 },
    over: { alpha: [0, 0.5, 1], decay: [0.9, 0.98] },
    seeds,
    store,
  })
}

async function overhead(model: Model): Promise<void> {
  const kept: Took[] = []
  const bare: Took[] = []
  const task = languageModelling({ texts: prompts, tokens: 512, rows: 32 })
  const policies = [0, 0.5, 1].flatMap((alpha) => [0.9, 0.98].map((decay) => zsmerge({ budget: 0.1, alpha, decay })))
  for (let round = 0; round < rounds; round++) {
    const folder = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
    kept.push(await took(() => studyOf(model, folder).run(quiet)))
    rmSync(folder, { recursive: true })
    bare.push(
      await took(async () => {
        for (let seed = 1; seed <= seeds; seed++)
          for (const prompt of await task.prompts(model, seed)) {
            const facts = promptFacts(prompt, seed)
            const trials = policies.map((policy) => ({ key: callOf(policy), policy, budgets: undefined }))
            await doJob(model, measuring(task.measure), { prompt, facts, trials }, async () => undefined, {})
          }
      }),
    )
  }
  say(`overhead: a kept study of ${prompts * seeds * policies.length} trials ÷ its trials alone`, kept, bare)
}

async function processes(): Promise<void> {
  const model = await load('smollm2-135m', { progress: false, threads: 1 })
  const two: Took[] = []
  const one: Took[] = []
  let equal = true
  for (let round = 0; round < rounds; round++) {
    const [apart, alone] = [studyOf(model), studyOf(model)]
    two.push(await took(() => apart.run({ ...quiet, processes: 2 })))
    one.push(await took(() => alone.run(quiet)))
    equal &&= JSON.stringify(apart.rows) === JSON.stringify(alone.rows)
  }
  model.dispose()
  const speedup = one.map(({ wall }, i) => wall / two[i].wall)
  console.log(
    `processes: one of one thread ÷ two of one thread each ${shown(speedup)} in wall time, results ${equal ? 'equal bit for bit' : 'NOT EQUAL'}; ${shown(one.map(({ wall }) => wall))} s : ${shown(two.map(({ wall }) => wall))} s`,
  )
}

async function store(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
  const made = await TrialStore.open(folder)
  for (let i = 0; i < 100_000; i++)
    await made.add({
      key: i.toString(16).padStart(32, '0'),
      policy: String(POLICIES[i % POLICIES.length]),
      prompt: { name: `text ${i}`, cluster: `book ${i % 30}`, seed: 1, tokens: 1024, sha256: 'a'.repeat(64) },
      values: { kl: i / 7, change: i / 3, loss: 3 + i / 1e6, agreement: 0.5, bytes: 1e6 + i },
      unchanged: false,
    })
  await made.fold()
  const opened: number[] = []
  for (let round = 0; round < rounds; round++) opened.push((await took(() => TrialStore.open(folder))).wall)
  rmSync(folder, { recursive: true })
  console.log(`store: 100,000 trials open in ${shown(opened)} s`)
}

console.log(`load ${loadavg()[0].toFixed(1)}`)
const wanted = parts.split(',')
if (wanted.includes('store')) await store()
if (wanted.includes('processes')) await processes()
const model = await load('smollm2-135m', { progress: false })
if (wanted.includes('sharing')) await sharing(model)
if (wanted.includes('overhead')) await overhead(model)
model.dispose()
