/** Studies in words: what there is to do, what was found at each setting, and what each dimension does. */
import { figure, interval, type IntervalFacts } from './numbers.js'
import { counted, lines, sizeText } from './texts.js'

interface MetricFacts {
  name: string
  about: string
  unit: string
}

const MOST = 12

type DesignFacts =
  | string
  | { readonly fractional: number }
  | { readonly latinHypercube: { readonly runs: number } }
  | { readonly ternary: { readonly steps: number } }
  | { readonly halving: { readonly first: number; readonly of?: DesignFacts } }

function designText(design: DesignFacts, over: string): string {
  const of = ` of ${over || 'one setting'}`
  if (typeof design === 'string') return `${design === 'grid' ? 'all combinations' : 'one at a time'}${of}`
  if ('fractional' in design) return `a fraction of resolution ${design.fractional}${of}`
  if ('latinHypercube' in design) return `a Latin hypercube of ${counted(design.latinHypercube.runs)} runs${of}`
  if ('halving' in design)
    return `${designText(design.halving.of ?? 'grid', over)}, the worse dropped from ${counted(design.halving.first)} cluster${design.halving.first === 1 ? '' : 's'} on`
  return `recent, context and residual in steps of 1/${design.ternary.steps} of the budget${over && `, with all combinations${of}`}`
}

interface RangeFacts {
  from: number
  to: number
  log?: boolean
}

const isRange = (given: object): given is RangeFacts => 'from' in given && 'to' in given

/** Of a dimension, as it was asked for. */
function overText(given: object): string {
  if (Array.isArray(given)) return given.join(', ')
  if (!isRange(given)) return Object.keys(given).join(', ')
  return `from ${given.from} to ${given.to}${given.log ? ' in the logarithm' : ''}`
}

interface StudyTextFacts {
  facts: {
    task: { name: string; about: string }
    policies: readonly string[]
    over: Readonly<Record<string, object>>
    design: DesignFacts
    split: number | null
    seeds: readonly number[]
  }
  progress: { trials: number; done: number; rounds: readonly RoundFacts[] } | undefined
}

interface RoundFacts {
  clusters: number
  kept: readonly { levels: Readonly<Record<string, unknown>>; mean: number | null }[]
  dropped: readonly unknown[]
}

export function roundText({ clusters, kept, dropped }: RoundFacts): string {
  const [best] = kept
  const ahead = best ? `; best so far ${levelsText(best.levels)}` : ''
  return `on ${counted(clusters)} cluster${clusters === 1 ? '' : 's'}: ${counted(kept.length)} of ${counted(kept.length + dropped.length)} settings kept${ahead}`
}

/** Dimensions with what is tried of them. */
export const dimensionsText = (over: StudyTextFacts['facts']['over']): string =>
  Object.entries(over)
    .map(([name, given]) => `${name} ${overText(given)}`)
    .join('; ')

export function studyText({ facts, progress }: StudyTextFacts): string {
  return lines(
    `Study of ${facts.policies.join(', ')} on ${facts.task.name}: ${facts.task.about}`,
    `${designText(facts.design, dimensionsText(facts.over))}; ${counted(facts.seeds.length)} seed${facts.seeds.length === 1 ? '' : 's'}`,
    progress ? `${counted(progress.done)} of ${counted(progress.trials)} trials are done` : 'nothing has run yet',
    ...(progress?.rounds ?? []).map(roundText),
    progress?.rounds.length
      ? 'next: .rounds, .confirm(), .exploring, .confirming'
      : progress?.done && facts.split !== null
        ? 'next: .exploring.summary(), .exploring.effects(), .confirm(), .confirming'
        : progress?.done
          ? "next: .summary(['alpha']), .effects(), .compare({ alpha: 0 }, { alpha: 1 }), .frame(), .csv()"
          : 'next: await study.plan(), await study.run()',
  )
}

interface PlanFacts {
  settings: number
  prompts: number
  clusters: number
  trials: number
  done: number
  tokens: { read: number; steps: number }
  seconds: number
  bytes: number
  notes: readonly string[]
}

export const durationText = (seconds: number) =>
  seconds < 90
    ? `${Math.ceil(seconds)} s`
    : seconds < 5400
      ? `${Math.ceil(seconds / 60)} min`
      : `${(seconds / 3600).toFixed(1)} h`

export const planText = ({
  settings,
  prompts,
  clusters,
  trials,
  done,
  tokens,
  seconds,
  bytes,
  notes,
}: PlanFacts): string =>
  lines(
    `${counted(settings)} settings on ${counted(prompts)} prompts of ${counted(clusters)} clusters: ${counted(trials)} trials, ${counted(done)} of them done`,
    `left to do: ${counted(tokens.read)} tokens read as prompts, ${counted(tokens.steps)} one by one, at most about ${durationText(seconds)}; ${sizeText(bytes)} in a store`,
    ...notes,
  )

interface SummaryFacts {
  by: readonly string[]
  cannot: string | null
  metrics: readonly MetricFacts[]
  rows: readonly {
    levels: Readonly<Record<string, unknown>>
    trials: number
    clusters: number
    unchanged: number
    failed: number
    values: Readonly<Record<string, IntervalFacts | null>>
  }[]
}

const levelsText = (levels: Readonly<Record<string, unknown>>) =>
  Object.entries(levels)
    .map(([name, level]) => `${name} ${String(level)}`)
    .join(', ') || 'all'

export function summaryText({ by, metrics, rows, cannot }: SummaryFacts): string {
  const [{ name, about, unit }] = metrics
  return lines(
    `${name} (${about}, ${unit}), mean over clusters${by.length ? `, by ${by.join(', ')}` : ''}`,
    ...rows.slice(0, MOST).map(({ levels, trials, clusters, unchanged, failed, values }) => {
      const found = values[name]
      const without = [
        unchanged && `${counted(unchanged)} changed nothing`,
        failed && `${counted(failed)} failed`,
      ].filter(Boolean)
      const of = `${counted(trials)} trials of ${counted(clusters)} clusters${without.length ? `; ${without.join(', ')}` : ''}`
      return `${levelsText(levels)}: ${found ? interval(found) : 'nothing to say'} (${of})`
    }),
    rows.length > MOST ? `… ${counted(rows.length - MOST)} more` : undefined,
    cannot ?? undefined,
    'next: .frame(), .csv()',
  )
}

interface EffectFacts {
  dimensions: readonly string[]
  from: readonly unknown[]
  to: readonly unknown[]
  aliases: readonly (readonly string[])[]
  found: { difference: IntervalFacts; smallest: number | null; why: string; left: number } | null
  misfit: number | null
  holm: number | null
}

export function effectsText({
  metric,
  main,
  interactions,
  fit,
}: {
  metric: MetricFacts
  main: readonly EffectFacts[]
  interactions: readonly EffectFacts[]
  fit: { settings: number; explained: number | null; without: string | null } | null
}): string {
  const shownEffects = [...main, ...interactions].slice(0, MOST)
  const [first] = shownEffects.flatMap(({ found }) => (found ? [found] : []))
  return lines(
    `What each dimension does to ${metric.name} (${metric.about}, ${metric.unit})`,
    ...shownEffects.map(({ dimensions, from, to, aliases, found, misfit, holm }) => {
      const of = `${dimensions.join(' × ')} from ${from.join(', ')} to ${to.join(', ')}`
      const alias = aliases.length ? ` (or ${aliases.map((names) => names.join(' × ')).join(', ')})` : ''
      if (!found) return `${of}: nowhere to be compared`
      const smallest = found.smallest === null ? '' : `, could have shown ${figure(found.smallest)}`
      const within = misfit !== null && Math.abs(found.difference.mean) <= misfit
      const missed = within ? `, within ±${figure(misfit)} that the plane leaves open` : ''
      return `${of}${alias}: ${interval(found.difference, true)}${missed}, p ${figure(holm!)} after Holm${smallest}`
    }),
    main.length + interactions.length > MOST
      ? `… ${counted(main.length + interactions.length - MOST)} more`
      : undefined,
    fit ? planeText(fit) : undefined,
    fit?.without ?? undefined,
    first?.why,
    'next: .main, .interactions, .frame(), .csv()',
  )
}

const planeText = ({ settings, explained }: { settings: number; explained: number | null }) =>
  `of ranges from end to end, by least squares through the ${counted(settings)} settings of each prompt${explained === null ? '' : `; the plane explains ${Math.round(100 * explained)}% of how they differ`}`

interface ContrastFacts {
  difference: IntervalFacts
  pairs: number
  clusters: number
}

export const differencesText = ({
  metric: { name, about, unit },
  a,
  b,
  found,
  left,
}: {
  metric: MetricFacts
  a: Readonly<Record<string, unknown>>
  b: Readonly<Record<string, unknown>>
  found: ContrastFacts & { test: { p: number }; smallest: number | null; why: string }
  left: { failed: number; unchanged: number }
}): string =>
  lines(
    `${name} (${about}, ${unit}) of ${levelsText(a)} less that of ${levelsText(b)}: ${interval(found.difference, true)}`,
    `${counted(found.pairs)} pairs of ${counted(found.clusters)} clusters, p ${figure(found.test.p)} by sign flips${found.smallest === null ? '' : `, could have shown ${figure(found.smallest)}`}`,
    left.failed || left.unchanged
      ? `left out: ${counted(left.failed)} places where one failed, ${counted(left.unchanged)} where one changed nothing`
      : undefined,
    found.why,
    'next: .places, .frame(), .csv(), figures.pairedDifferences(study, a, b)',
  )

export function confirmationText({
  metric,
  chosen,
  base,
  exploring,
  confirming,
}: {
  metric: MetricFacts
  chosen: Readonly<Record<string, unknown>> | null
  base: Readonly<Record<string, unknown>>
  exploring: ContrastFacts | null
  confirming: ContrastFacts | null
}): string {
  const of = (found: ContrastFacts) => `${interval(found.difference, true)} (${counted(found.clusters)} clusters)`
  if (!chosen) return `Nothing to choose by ${metric.name}: no setting has been measured where settings are chosen`
  return lines(
    `Chosen by ${metric.name} (${metric.about}, ${metric.unit}): ${levelsText(chosen)}`,
    exploring ? `over ${levelsText(base)}, where it was chosen: ${of(exploring)}` : 'it is the first levels themselves',
    confirming ? `where it was not, which is what may be said: ${of(confirming)}` : undefined,
  )
}

export const resultsText = ({ name, rows }: { name: string; rows: readonly unknown[] }): string =>
  lines(
    `The ${name} half of a study: ${counted(rows.length)} trials`,
    'next: .summary(), .effects(), .compare(), .frame(), .csv()',
  )

export const mergedText = ({
  facts,
  rows,
}: {
  facts: { studies: Readonly<Record<string, unknown>>; common: number }
  rows: readonly unknown[]
}): string =>
  lines(
    `${Object.keys(facts.studies).join(', ')}: studies over the same prompts, ${counted(rows.length)} trials, ${counted(facts.common)} prompts in all of them`,
    "next: .compare({ study: 'a' }, { study: 'b' }), .summary(['study']), .effects(), .frame(), .csv()",
  )
