/**
 * What looking costs: the shadow of a run that was forked from a read prompt, of a traced session, which keeps what that takes, and of one
 * without a trace; beside decoding the same tokens under the full cache and under the run's own policy, in turns. CPU time of the process,
 * and wall time.
 *   npx tsx bench/shadow.ts [rounds = 5] [prompt tokens = 4096] [tokens = 64] [budget = 0.2]
 */
import { loadavg } from 'node:os'
import { load, zsmerge, type Model, type Session } from '../src/index.js'
import { text } from './text.js'

const [rounds = 5, promptTokens = 4096, ownTokens = 64, budget = 0.2] = process.argv.slice(2).map(Number)
const quiet = { progress: false } as const

interface Cost {
  cpu: number
  wall: number
}

async function timed<T>(work: () => Promise<T>): Promise<[T, Cost]> {
  const [wall, cpu] = [performance.now(), process.cpuUsage()]
  const result = await work()
  const { user, system } = process.cpuUsage(cpu)
  return [result, { cpu: (user + system) / 1000, wall: performance.now() - wall }]
}

const at = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.round(share * (values.length - 1))]
const shown = (values: number[], digits: number) =>
  `${at(values, 0.5).toFixed(digits)} (${at(values, 0).toFixed(digits)}–${at(values, 1).toFixed(digits)})`

async function fed(session: Session, ids: readonly number[]): Promise<void> {
  for (const id of ids) await session.step(id)
}

async function bench(model: Model): Promise<void> {
  const source = model.session({ forkable: 'all' })
  await source.prefill(text(model, promptTokens), quiet)
  const policy = zsmerge({ budget })
  const names = ['full', 'own', 'traced', 'traced, without local', 'untraced', 'untraced, without local'] as const
  const costs = Object.fromEntries(names.map((name) => [name, [] as Cost[]])) as Record<(typeof names)[number], Cost[]>
  for (let round = 0; round < rounds; round++) {
    // The first token comes from the prompt's last row, the last one is not read.
    const generated = async (trace: boolean) => {
      const session = await source.fork({ policy, trace, ...quiet })
      return session.generate(undefined, { maxTokens: ownTokens + 1, ignoreEos: true, ...quiet })
    }
    const [traced, untraced] = [await generated(true), await generated(false)]
    const ids = traced.tokens.slice(0, ownTokens)
    const [full, own] = [await source.fork(), await source.fork({ policy, ...quiet })]
    const measured = {
      full: () => fed(full, ids),
      own: () => fed(own, ids),
      traced: () => traced.shadow({ from: source, ...quiet }),
      'traced, without local': () => traced.shadow({ from: source, local: false, ...quiet }),
      untraced: () => untraced.shadow({ from: source, ...quiet }),
      'untraced, without local': () => untraced.shadow({ from: source, local: false, ...quiet }),
    }
    for (const name of names) costs[name].push((await timed<unknown>(measured[name]))[1])
    for (const one of [full, own]) one.dispose()
  }
  console.log(`shadow of ${ownTokens} tokens after ${promptTokens}, budget ${budget}; ${rounds} rounds; median (range)`)
  for (const clock of ['cpu', 'wall'] as const) {
    const of = (name: (typeof names)[number]) => costs[name].map((cost) => cost[clock])
    for (const name of names) console.log(`${clock.padEnd(5)}${name.padEnd(24)}${shown(of(name), 0)} ms`)
    for (const name of names.slice(2)) {
      const beside = of('full').map((ms, i) => (name.startsWith('traced') ? ms : ms + of('own')[i]))
      const ratios = of(name).map((ms, i) => ms / beside[i])
      console.log(
        `${clock.padEnd(5)}${name} : ${name.startsWith('traced') ? 'full' : '(full + own)'} ${shown(ratios, 2)}`,
      )
    }
  }
}

console.log(`load ${loadavg()[0].toFixed(1)}`)
const model = await load('smollm2-135m', quiet)
await bench(model)
model.dispose()
