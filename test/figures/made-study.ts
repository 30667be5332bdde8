/** Studies that nobody ran: rows made up with a seed, and all that studies say of their rows. */
import { Results } from '../../src/experiments/results.js'
import type { Row } from '../../src/experiments/rows.js'
import type { Dimensions, Levels } from '../../src/experiments/designs.js'
import { triedOf } from '../../src/experiments/tried.js'
import { METRICS, studyMade, type StudyMade } from './synthetic-study.js'
import { random } from './synthetic.js'

interface MadeFacts {
  dimensions: Dimensions
  metrics?: Results['metrics']
  able?: Results['able']
  task?: { name: string; about: string }
}

export class MadeStudy extends Results {
  readonly cards = []

  constructor(
    readonly rows: readonly Row[],
    private readonly made: MadeFacts,
  ) {
    super()
  }

  get facts() {
    return { task: this.made.task ?? { name: 'language modelling', about: 'the last 64 tokens of excerpts of 1024' } }
  }
  get tried() {
    const varied = Object.entries(this.made.dimensions).map(([name, levels]) => [name, { levels }] as const)
    return triedOf(Object.fromEntries(varied), 'grid')
  }
  get metrics() {
    return this.made.metrics ?? METRICS
  }
  get able() {
    return this.made.able
  }
  toJSON() {
    return {}
  }
}

interface Lossy extends StudyMade {
  /** Texts of a cluster; default 1. */
  together?: number
  /** Shares of trials that fail, and that change nothing. */
  failed?: number
  unchanged?: number
}

export function studyOf({ together = 1, failed = 0, unchanged = 0, ...made }: Lossy = {}): MadeStudy {
  const next = random(77)
  const dimensions = made.dimensions ?? { budget: [0.05, 0.1, 0.2], alpha: [0, 0.5, 1], recent: [0.5, 0.25] }
  const rows = studyMade(made).map(({ levels, trial }, i): Row => {
    const cluster = `speaker ${Math.floor(Number(trial.prompt.name.slice(5)) / together)}`
    const luck = next()
    const lost = luck < failed
    return {
      levels,
      trial: {
        ...trial,
        prompt: { ...trial.prompt, cluster },
        unchanged: !lost && luck < failed + unchanged,
        ...(lost && {
          values: null,
          failed:
            i % 3 ? 'expected a budget of at least 6 slots for recent 4 and residual 2' : 'a measure is no number',
        }),
      },
    }
  })
  return new MadeStudy(rows, { dimensions })
}

const SCORES = [
  { name: 'score', about: 'share of answers that say the key', unit: 'share', better: 'more' },
  { name: 'full', about: 'score of the full cache', unit: 'share', better: 'more' },
  { name: 'bytes', about: 'keys, values and what belongs to them, at the end', unit: 'bytes', better: 'less' },
] as const

interface NeedlesMade {
  dimensions?: Dimensions
  lengths?: readonly number[]
  depths?: readonly number[]
  seeds?: number
  /** Length from which on the full cache finds nothing. */
  beyond?: number
  /** Length at which policies change nothing. */
  unchanged?: number
}

/** Keys at depths of contexts: the deeper in the middle and the longer, the rarer it is found. */
export function needlesOf({
  dimensions = { policy: ['zsmerge', 'snapkv'], budget: [0.1, 0.2] },
  lengths = [512, 1024, 2048, 4096],
  depths = [0, 0.25, 0.5, 0.75, 1],
  seeds = 5,
  beyond = 4096,
  unchanged = 0,
}: NeedlesMade = {}): MadeStudy {
  const next = random(5)
  let settings: Record<string, Levels[string]>[] = [{}]
  for (const [name, levels] of Object.entries(dimensions))
    settings = settings.flatMap((row) => levels.map((level) => ({ ...row, [name]: level })))
  const rows: Row[] = []
  for (let seed = 1; seed <= seeds; seed++)
    for (const length of lengths)
      for (const depth of depths) {
        const name = `${length} tokens, depth ${depth}`
        const full = Number(length < beyond)
        const prompt = { name, cluster: `${name}, seed ${seed}`, seed, tokens: length, sha256: 'x' }
        settings.forEach((levels, i) => {
          const chance = (full * (0.3 + 1.2 * Math.abs(depth - 0.5)) * (1 + (i % 3))) / (1 + length / 2048)
          const values = { score: Number(next() < chance), full, bytes: 1e6 }
          rows.push({
            levels,
            trial: { key: name, policy: 'zsmerge()', prompt, values, unchanged: length === unchanged },
          })
        })
      }
  return new MadeStudy(rows, {
    dimensions,
    metrics: SCORES,
    able: { metric: 'full', least: 0.5 },
    task: { name: 'passkey', about: '5 digits in Moby Dick; the question comes with the prompt' },
  })
}
