/** Survival: how long tokens keep a slot of their own, by age, and how many leave as soon as they may. */
import { oneOf } from '../expect.js'
import { eventsOf, headOf, labelledRuns, type RunLike } from './fates.js'
import { Figure } from './figure.js'
import type { Part } from './part.js'
import type { Plot } from './plot.js'
import { counted, percent, plainNumber } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { survivalOf, type HeadSurvival } from './survival-counts.js'
import { binsOf, medianAge } from './survival-spread.js'
import { agesOf, followedOf, picture, thenWords, youngShare, youngWords, type Followed } from './survival-plot.js'

export interface SurvivalOptions extends StyleOptions {
  /** One per run; default: policy and slots. */
  labels?: string[]
  /** Only the kv heads of this layer, 0 … layers − 1; default: all. */
  layer?: number
  /** One curve per run with the middle 80% of its kv heads (default), or a row of shades per layer. */
  by?: 'run' | 'layer'
}

/**
 * Share of tokens that are still alone in a slot, by age, of one run or several with trace: true. A token's age at a step is the
 * number of tokens that came after it: the steps since it was admitted, and of the prompt's tokens those after them in the prompt,
 * too. It leaves when it is dropped or its slot stops standing for it alone (it was merged into another, or another into it).
 * Of one run, left: the tokens seen when the cache was first full (as a rule the prompt), by their age then; kept then, and to the
 * end. Right, and of several runs alone: Kaplan and Meier's estimate for the tokens that were still protected then or came later,
 * first tokens that never leave (sink) left out; those alone at the run's end are censored. Lines are means over kv heads, each
 * with its own curve. A token that was brought back (unevict) was gone in between: it left, and counts among those that may leave again
 * from its return on.
 * Errors: 'invalid' for a run without events, a layer that the model has not, unknown options.
 */
export function survival(runs: RunLike | readonly RunLike[], options: SurvivalOptions = {}): Figure {
  const style = styleOptions('survival', options, ['labels', 'layer', 'by'])
  const by = oneOf('by', options.by ?? 'run', ['run', 'layer'])
  const followed = labelledRuns(runs, options.labels).map(({ label, data }) => {
    const layer = options.layer === undefined ? undefined : headOf(data, { layer: options.layer }).layer
    return followedOf(label, data, survivalOf(data, eventsOf(data, 'survival'), layer), by)
  })
  const where = options.layer === undefined ? '' : ` of layer ${options.layer}`
  const words = followed.length === 1 ? wordsOf(followed[0], where) : wordsOfMany(followed, where)
  const whole = agesOf(followed)
  // All of it: each panel as far as it goes.
  const inside = (part?: Part) => (part?.age![0] === whole[0] && part.age![1] === whole[1] ? undefined : part?.age)
  const plot = (chosen: Style, part?: Part): Plot => ({ ...words, ...picture(followed, by, chosen, inside(part)) })
  const summary = `${words.title}. ${words.detail}`
  return new Figure(
    { call: ['survival', runs, options], summary, columns: () => columnsOf(followed), plot, whole: { age: whole } },
    style,
  )
}

/**
 * clock 'first full': tokens seen by then, by age then (`age` to `ageTo`), kept then and kept at the end. clock 'age': tokens that are
 * followed; those at risk at that age, how many left, and the estimate.
 */
function columnsOf(followed: Followed[]) {
  const rows = followed.flatMap((one) =>
    one.groups.flatMap((group) => {
      const { layer, heads } = group
      const sum = (value: (head: HeadSurvival) => number | undefined) =>
        heads.reduce((all, head) => all + (value(head) ?? 0), 0)
      const common = { run: one.label, layer }
      const bins = binsOf(heads).flatMap(({ from, to, tokens, keptThen, keptAtEnd }) =>
        [keptThen, keptAtEnd].map((share, end) => ({
          ...common,
          clock: 'first full',
          until: end ? 'end' : 'first full',
          age: from,
          ageTo: to,
          tokens,
          merged: null,
          dropped: null,
          share,
        })),
      )
      const ages = group.curve.map((share, age) => ({
        ...common,
        clock: 'age',
        until: 'age',
        age,
        ageTo: age + 1,
        tokens: sum(({ followed: { atRisk } }) => atRisk[age]),
        merged: sum(({ followed: { merged } }) => merged[age]),
        dropped: sum(({ followed: { dropped } }) => dropped[age]),
        share,
      }))
      return [...bins, ...ages]
    }),
  )
  const known = (value: number) => (Number.isNaN(value) ? null : value)
  return {
    run: rows.map((row) => row.run),
    layer: rows.map((row) => row.layer),
    clock: rows.map((row) => row.clock),
    until: rows.map((row) => row.until),
    age: rows.map((row) => row.age),
    ageTo: rows.map((row) => row.ageTo),
    tokens: rows.map((row) => row.tokens),
    merged: rows.map((row) => row.merged),
    dropped: rows.map((row) => row.dropped),
    alone: rows.map((row) => known(row.share.mean)),
    low: rows.map((row) => known(row.share.low)),
    high: rows.map((row) => known(row.share.high)),
  }
}

const splitWords = (merged: number, dropped: number) => {
  if (!dropped) return 'all merged'
  if (!merged) return 'all dropped'
  return `${percent(merged / (merged + dropped))} merged, ${percent(dropped / (merged + dropped))} dropped`
}

function medianWords({ curve }: Followed): string {
  const median = medianAge(curve)
  if (median !== undefined) return `half are gone at age ${plainNumber(median)}`
  const oldest = curve.length - 1
  return `${percent(curve[oldest].mean)} are still alone at age ${plainNumber(oldest)}, the greatest seen`
}

const capital = (words: string) => words[0].toUpperCase() + words.slice(1)

/** What the first compression took. */
function thenDetail(one: Followed): string {
  const { seen, lostThen, mergedThen } = one.totals
  if (!seen) return ''
  const split = lostThen ? ` (${splitWords(mergedThen, lostThen - mergedThen)})` : ''
  return `${capital(thenWords(one))}, ${percent(lostThen / seen)} of the tokens seen by then lost their slots${split}. `
}

/** How long those lasted that are seen from their first chance to leave on. */
function followedDetail(one: Followed): string {
  const { tokens, censored } = one.totals
  if (!tokens) return ''
  return `Of the tokens followed since they were protected ${medianWords(one)}; ${percent(censored / tokens)} are alone at the end.`
}

function wordsOf(one: Followed, where: string): { title: string; detail: string } {
  const { totals, heads, data } = one
  const headWords = `${counted(heads.length, 'kv head')}${where}`
  const steps = counted(data.steps, 'decode step')
  if (!totals.lostThen && !totals.later)
    return {
      title: `No token left its slot in ${headWords}`,
      detail: `${counted(data.tokens.length, 'token')}, each alone in a slot after ${steps}.`,
    }
  const rest = `${thenDetail(one)}${followedDetail(one)}`.trimEnd()
  if (!totals.later) return { title: `No token left its slot in ${steps} in ${headWords}`, detail: rest }
  return {
    title: `${percent(youngShare(one))} of what left while decoding went as soon as it could`,
    detail:
      `While decoding ${counted(totals.later, 'token')} left in ${headWords} (${splitWords(totals.merged, totals.dropped)}), ` +
      `${plainNumber(totals.atOnce)} at the first step at which they could. ${rest}`,
  }
}

function wordsOfMany(followed: Followed[], where: string): { title: string; detail: string } {
  const some = followed.filter(({ totals }) => totals.later)
  const each = followed.map((one) => {
    const { later, merged, dropped } = one.totals
    const gone = later ? `${youngWords(one)} at once, ${splitWords(merged, dropped)}` : 'none left'
    return `${one.label}: ${gone}${one.curve.length ? `, ${medianWords(one)}` : ''}`
  })
  const detail = `Departures while decoding, and tokens followed since they were protected – ${each.join('; ')}.`
  if (!some.length) return { title: `While decoding no token left its slot${where}`, detail }
  const sorted = [...some].sort((a, b) => youngShare(a) - youngShare(b))
  const ends = [...new Set([sorted[0], sorted[sorted.length - 1]])]
  const range = ends.map((one) => `${percent(youngShare(one))} (${one.label})`).join(' to ')
  return { title: `${range} of what left while decoding${where} went as soon as it could`, detail }
}
