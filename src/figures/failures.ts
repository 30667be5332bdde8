/** Failures of a study: at each setting the trials that count, those that changed nothing and those that failed, and why; above them what the full cache cannot do itself. */
import { Figure } from './figure.js'
import { addBox, noBoxes } from './marks.js'
import type { LegendEntry, Plot, Tick } from './plot.js'
import { counted, plainNumber } from './scale.js'
import { checkStudy, rowsFitting, settingNames, settingWords, type LevelsData } from './study.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { listed } from './words.js'

interface TrialData {
  prompt: { name: string; seed: number }
  values: Readonly<Record<string, number>> | null
  unchanged: boolean
  failed?: string
}

/** A study that has run, or a half of one. */
export interface FailuresStudyData {
  cannot: string | null
  /** What the full cache has to reach at a prompt, where the task says so. */
  able: { metric: string; least: number } | undefined
  facts: { task: { name: string; about: string } }
  rows: readonly { levels: LevelsData; trial: TrialData }[]
  summary(): object
}

interface Bar {
  name: string
  levels: LevelsData
  counts: number
  unchanged: number
  failed: number
}

/** In grey from light to dark. */
const PARTS: readonly { part: 'counts' | 'unchanged' | 'failed'; label: string; color: Fill }[] = [
  { part: 'counts', label: 'counts', color: 'shade:0.2' },
  { part: 'unchanged', label: 'changed nothing', color: 'residual' },
  { part: 'failed', label: 'failed', color: 'dropped' },
]
/** Settings that have a row of their own. */
const MOST = 30

/**
 * Trials of each setting of a study: those that count, those whose policy was to change the cache and did not, and those that failed, with the reasons. Where
 * the task says what the full cache has to reach, a row for it, too: prompts where it does not are beyond the model, whatever a policy does. Of more than
 * 30 settings those that lost most are shown. `data`: a row for each setting and outcome. Errors: 'invalid' for something else.
 */
export function failures(study: FailuresStudyData, options: StyleOptions = {}): Figure {
  const style = styleOptions('failures', options, [])
  checkStudy(study, 'failures', ['summary'])
  const { rows } = study
  const bars = barsOf(rows)
  const facts: Facts = { study, bars, full: fullOf(study), reasons: reasonsOf(rows) }
  const words = wordsOf(facts)
  const plot = (given: Style): Plot => ({ ...words, ...picture(facts, words, given) })
  return new Figure(
    {
      call: ['failures', study, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(facts),
      plot,
    },
    style,
  )
}

interface Facts {
  study: FailuresStudyData
  bars: readonly Bar[]
  /** Prompts of which anything is known of the full cache. */
  full: { able: number; cannot: number } | undefined
  /** The most frequent first. */
  reasons: readonly [why: string, trials: number][]
}

function barsOf(rows: FailuresStudyData['rows']): Bar[] {
  const bars = new Map<string, Bar>()
  for (const { levels, trial } of rows) {
    const name = settingWords(levels)
    const bar = bars.get(name) ?? { name, levels, counts: 0, unchanged: 0, failed: 0 }
    bar[trial.values === null ? 'failed' : trial.unchanged ? 'unchanged' : 'counts']++
    bars.set(name, bar)
  }
  return [...bars.values()]
}

function fullOf({ able, rows }: FailuresStudyData): Facts['full'] {
  if (!able) return undefined
  const prompts = new Map<string, boolean>()
  for (const { trial } of rows)
    if (trial.values)
      prompts.set(JSON.stringify([trial.prompt.name, trial.prompt.seed]), trial.values[able.metric] >= able.least)
  const can = [...prompts.values()].filter(Boolean).length
  return prompts.size ? { able: can, cannot: prompts.size - can } : undefined
}

function reasonsOf(rows: FailuresStudyData['rows']): [string, number][] {
  const reasons = new Map<string, number>()
  for (const { trial } of rows)
    if (trial.failed !== undefined) reasons.set(trial.failed, (reasons.get(trial.failed) ?? 0) + 1)
  return [...reasons].sort((a, b) => b[1] - a[1])
}

const totalOf = (bars: readonly Bar[], part: 'counts' | 'unchanged' | 'failed') =>
  bars.reduce((sum, bar) => sum + bar[part], 0)

function wordsOf({ study, bars, full, reasons }: Facts): { title: string; detail: string } {
  const [counts, unchanged, failed] = PARTS.map(({ part }) => totalOf(bars, part))
  const all = counts + unchanged + failed
  const lost = bars.filter((bar) => bar.unchanged || bar.failed)
  const whole = lost.filter((bar) => !bar.counts)
  const why = reasons.slice(0, 2).map(([reason, count]) => `“${reason}” (${plainNumber(count)})`)
  const more = reasons.length > 2 ? `; ${counted(reasons.length - 2, 'other reason')}` : ''
  return {
    title:
      failed || unchanged
        ? `${plainNumber(failed)} of ${counted(all, 'trial')} failed, ${plainNumber(unchanged)} changed nothing`
        : `All of ${counted(all, 'trial')} count`,
    detail:
      `${plainNumber(lost.length)} of ${counted(bars.length, 'setting')} lost some${whole.length ? `, ${plainNumber(whole.length)} of them all` : ''}.` +
      (why.length ? ` Why: ${listed(why)}${more}.` : '') +
      (full
        ? ` The full cache itself cannot do ${plainNumber(full.cannot)} of ${counted(full.able + full.cannot, 'prompt')}.`
        : '') +
      (study.cannot === null ? '' : ` So ${study.cannot}.`),
  }
}

/** What stands around the bars; `rest`: settings that are not shown. */
const frameOf = ({ study }: Facts, legend: readonly LegendEntry[], rest: number) => ({
  subject: `${study.facts.task.name}: ${study.facts.task.about}`,
  notes: [
    'Neither what failed nor what changed nothing is in any mean or difference.',
    ...(rest ? [`${counted(rest, 'setting')} that lost no more ${rest === 1 ? 'is' : 'are'} not shown.`] : []),
  ],
  legend: [...legend],
  arrangement: 'rows' as const,
})

/** Height of the axis, in heights of text. */
const AXIS = 3.2

function picture(facts: Facts, words: { title: string; detail: string }, style: Style) {
  const { bars, full } = facts
  const lost = ({ unchanged, failed }: Bar) => unchanged + failed
  const entries = PARTS.map(({ label, color }): LegendEntry => ({ label, color, swatch: 'box' }))
  const most = Math.min(MOST, rowsFitting({ ...words, ...frameOf(facts, entries, 1) }, AXIS * style.text, style) - 1)
  const shown = bars.length > most ? [...bars].sort((a, b) => lost(b) - lost(a)).slice(0, most) : bars
  const offset = full ? 1 : 0
  const longest = Math.max(1, ...bars.map((bar) => lost(bar) + bar.counts), full ? full.able + full.cannot : 0)
  const parts = PARTS.map(({ part, label, color }) => {
    const boxes = noBoxes(label, color)
    shown.forEach((bar, i) => {
      const from = part === 'counts' ? 0 : part === 'unchanged' ? bar.counts : bar.counts + bar.unchanged
      if (bar[part])
        addBox(
          boxes,
          [from, from + bar[part], i + offset - 0.36, i + offset + 0.36],
          `${bar.name}: ${counted(bar[part], 'trial')} ${label}`,
        )
    })
    return boxes
  })
  const beyond = noBoxes('full cache cannot', 'ink', { outline: true })
  if (full?.able) addBox(parts[0], [0, full.able, -0.36, 0.36], `full cache: can do ${counted(full.able, 'prompt')}`)
  if (full?.cannot)
    addBox(
      beyond,
      [full.able, full.able + full.cannot, -0.36, 0.36],
      `full cache: cannot do ${counted(full.cannot, 'prompt')}`,
    )
  const used = [...parts, beyond].filter(({ x0 }) => x0.length)
  const legend = used.map(({ name, color, outline }): LegendEntry => ({
    label: name,
    color,
    swatch: outline ? 'frame' : 'box',
  }))
  const room = (style.size === 'column' ? 0.45 : 0.38) * style.width
  const { names: own, label } = settingNames(
    shown.map(({ levels }) => levels),
    room,
    style,
  )
  const names = [...(full ? ['full cache'] : []), ...own]
  const rows = names.length
  return {
    ...frameOf(facts, legend, bars.length - shown.length),
    panels: [
      {
        share: 1,
        x: {
          label: full ? 'trials; of the full cache: prompts' : 'trials',
          range: [0, longest] as [number, number],
          whole: true,
        },
        y: {
          label: label && shortened(label, 0.8 * rows * style.text, { size: style.text }),
          range: [rows - 0.5, -0.5] as [number, number],
          ticks: names.map((name, at): Tick => ({ at, text: shortened(name, room, { size: style.small }) })),
        },
        marks: used,
      },
    ],
    body: AXIS * style.text + Math.max(3, rows) * (style.size === 'column' ? 15 : 17),
  }
}

function columnsOf({ bars, full, reasons }: Facts) {
  const rows = [
    ...(full
      ? ([
          ['full cache', 'can', full.able],
          ['full cache', 'cannot', full.cannot],
        ] as const)
      : []),
    ...bars.flatMap((bar) => PARTS.map(({ part, label }) => [bar.name, label, bar[part]] as const)),
    ...reasons.map(([why, count]) => ['all', `failed: ${why}`, count] as const),
  ]
  return {
    setting: rows.map(([setting]) => setting),
    outcome: rows.map(([, outcome]) => outcome),
    trials: rows.map(([, , trials]) => trials),
  }
}
