/** --trace-level and what goes with it: the option `trace` of a session, and in words what a saved trace has beside events. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { counted, ordinal } from '../show/texts.js'
import { LEVELS, type Level, type TraceLevel, type TraceOption } from '../trace/level.js'
import { headsOf, type HeadOf, type Recorded } from '../trace/recorded.js'
import { UsageError, whole } from './common.js'

const FLAGS = {
  traceLayers: '--trace-layers',
  traceKvHeads: '--trace-kv-heads',
  traceQueries: '--trace-queries',
  traceScores: '--trace-scores',
  traceEvery: '--trace-every',
} as const

export function traceLevelOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--trace-level <level>',
        'with --trace, what it has: events; scores (and each slot’s score and probability by step) or vectors (and keys, values, queries, outputs), of all heads unless named',
      ).choices(LEVELS.filter((level) => level !== 'off')),
    )
    .option('--trace-layers <n,…>', 'layers whose scores or vectors are kept', numbers)
    .option('--trace-kv-heads <n,…>', 'kv heads whose scores or vectors are kept', numbers)
    .option('--trace-queries <n>', 'of vectors: queries kept of the prompt’s last rows (default 512)', whole)
    .option('--trace-scores', 'of vectors: scores too')
    .option('--trace-every <n>', 'scores of every n-th step alone', whole)
}

function numbers(text: string): number[] {
  return text.split(',').map((one) => {
    if (!/^\d+$/.test(one.trim()))
      throw new InvalidArgumentError(`expected whole numbers, as in 3,12, but received "${text}"`)
    return Number(one)
  })
}

/** What a session is asked to keep, `kept` where no level is named; its words and numbers are the session's to check. */
export function traceFrom(options: Record<string, unknown>, kept: boolean): TraceOption {
  const named = Object.entries(FLAGS).find(([name]) => options[name] !== undefined)
  const level = options.traceLevel as Level | undefined
  const flag = level ? '--trace-level' : named?.[1]
  if (flag && options.trace === undefined)
    throw new UsageError(`${flag} is about the file of --trace: give one, or leave it out`)
  if (!level) {
    if (named) throw new UsageError(`${named[1]} needs --trace-level scores or vectors`)
    return kept
  }
  const given: TraceLevel = {
    level,
    layers: options.traceLayers as number[] | undefined,
    kvHeads: options.traceKvHeads as number[] | undefined,
    queries: options.traceQueries as number | undefined,
    scores: options.traceScores as boolean | undefined,
    every: options.traceEvery as number | undefined,
  }
  return given
}

/** As in --json: whose. */
export const describedLevel = ({ level, every, kvHeads, ...of }: Recorded) => ({
  level,
  ...(of.vectors && { vectors: headsOf(of.vectors, kvHeads) }),
  ...(of.scores && { scores: headsOf(of.scores, kvHeads), every }),
})

export function levelText({ level, every, kvHeads, ...of }: Recorded): string {
  const [vectors, scores] = [headsOf(of.vectors, kvHeads), headsOf(of.scores, kvHeads)]
  const parts = [
    vectors.length ? `keys, values, queries and outputs of ${headsText(vectors)}` : '',
    scores.length
      ? `scores and probabilities of ${headsText(scores)}${every > 1 ? `, every ${ordinal(every)} step` : ', every step'}`
      : '',
  ].filter((part) => part)
  return `level ${level}: ${['events', ...parts].join('; ')}`
}

function headsText(heads: readonly HeadOf[]): string {
  const layers = [...new Set(heads.map(({ layer }) => layer))]
  const kvHeads = [...new Set(heads.map(({ kvHead }) => kvHead))]
  const list = (all: number[]) => (all.length > 8 ? `${all.slice(0, 8).join(', ')} …` : all.join(', '))
  return `${counted(heads.length)} heads (layers ${list(layers)}; kv heads ${list(kvHeads)})`
}
