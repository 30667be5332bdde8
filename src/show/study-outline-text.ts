/** Studies as their folders tell of them: how far they are, who runs them, what each policy has. */
import { figure } from './numbers.js'
import { dimensionsText, durationText } from './study-text.js'
import { counted, lines } from './texts.js'

interface StateFacts {
  state: string
  trials: { trials: number; done: number; failed: number; unchanged: number }
  secondsLeft: number | null
  doing: readonly string[]
  processes: number
  updated: string
  why?: string
}

interface OutlineFacts {
  folder: string
  facts: {
    task: { name: string; about: string }
    policies: readonly string[]
    over: Parameters<typeof dimensionsText>[0]
    metric: string
  }
  state: StateFacts | null
  running: { host: string; pid: number } | null
  asked: { paused: boolean; cancelled: readonly { policy?: string; prompt?: string; back?: true }[] }
  settings: readonly { policy: string; done: number; failed: number; unchanged: number; mean: number | null }[]
}

/** What the file says last, and what is so now: who died said nothing. */
function stateText({ state, running, asked, settings }: OutlineFacts): string {
  if (!state) return settings.length ? 'how far it is is not known' : 'has not been run'
  const { trials, secondsLeft, processes, why } = state
  const done = `${counted(trials.done)} of ${counted(trials.trials)} trials`
  const failed = trials.failed ? `, ${counted(trials.failed)} failed` : ''
  if (!running) {
    const over = state.state === 'running' || state.state === 'paused' ? 'was cut off' : state.state
    return `${over}: ${done}${failed}${why ? ` (${why})` : ''}`
  }
  const left = secondsLeft === null ? '' : `, about ${durationText(secondsLeft)} left`
  const who = `process ${running.pid} on ${running.host}${processes > 1 ? ` with ${processes} processes` : ''}`
  return `${asked.paused ? 'paused' : 'running'}: ${done}${failed}${left} (${who})`
}

export const listText = (all: readonly OutlineFacts[], folder: string): string =>
  all.length
    ? all
        .map((one) => `${one.folder}: ${one.facts.policies.join(', ')} on ${one.facts.task.name}, ${stateText(one)}`)
        .join('\n')
    : `no studies in ${folder}`

/** Calls of policies without the options that all calls of the same policy have alike. */
export function briefCalls(calls: readonly string[]): string[] {
  const parts = calls.map((call) => /^([^({]*\(\{ )(.*)( \}\).*)$/.exec(call))
  const optionsOf = (options: string) => options.split(/, (?=\w+: )/)
  return parts.map((part, i) => {
    if (!part) return calls[i]
    const [, before, options, after] = part
    const alike = parts.filter((other) => other?.[1] === before).map((other) => optionsOf(other![2]))
    const own = optionsOf(options).filter((option) => alike.some((all) => !all.includes(option)))
    return own.length ? before + own.join(', ') + after : before.slice(0, -2) + after.slice(2)
  })
}

export function outlineText(outline: OutlineFacts): string {
  const { folder, facts, state, asked, settings } = outline
  const calls = briefCalls(settings.map(({ policy }) => policy))
  const width = Math.max(0, ...calls.map(({ length }) => length))
  const cancelled = asked.cancelled.map(
    ({ policy, prompt, back }) => (back ? 'not ' : '') + ([policy, prompt].filter(Boolean).join(' on ') || 'all'),
  )
  return lines(
    `${folder}: ${facts.policies.join(', ')} on ${facts.task.name}: ${facts.task.about}`,
    Object.keys(facts.over).length ? `over ${dimensionsText(facts.over)}` : undefined,
    stateText(outline),
    state?.doing.length ? `under way: ${state.doing.join('; ')}` : undefined,
    cancelled.length ? `left out: ${cancelled.join('; ')}` : undefined,
    settings.length ? `${'policy'.padEnd(width)}  trials  failed  unchanged  ${facts.metric}` : undefined,
    ...settings.map(({ done, failed, unchanged, mean }, i) =>
      [
        calls[i].padEnd(width),
        counted(done).padStart(6),
        counted(failed).padStart(6),
        counted(unchanged).padStart(9),
        mean === null ? '–' : figure(mean),
      ].join('  '),
    ),
  )
}
