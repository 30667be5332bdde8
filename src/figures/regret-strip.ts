/** Regret strip: the text, every token shaded by what heads missed of it, and the tokens whose loss cost most. */
import { integer, invalid, oneOf } from '../expect.js'
import type { LocalData, RunData, ShadowData } from './data.js'
import { headOf, runData, type RunLike } from './fates.js'
import { tokenText } from './spelt.js'
import { Figure } from './figure.js'
import { localOf } from './local.js'
import { addBox, noBoxes } from './marks.js'
import type { Part } from './part.js'
import type { Labels, Panel, Plot } from './plot.js'
import { regretOf, type Measure, type Regret } from './regret-counts.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { shownRange, stripPlot, stripRange, type Below, type Strip, type StripRange } from './strip.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { shortened } from './text.js'
import { subjectWords } from './words.js'

export interface RegretStripOptions extends StyleOptions, StripRange {
  /** Only the kv heads of this layer, or only one of them; default: all. */
  layer?: number
  kvHead?: number
  /**
   * probability (default): the share of full attention that a head gives to the token after it has lost it, mean over kv heads and decode
   * steps. change: the leave-one-out change of a head's output p/(1 − p)·‖o* − v‖, the same mean.
   */
  measure?: Measure
  /** Tokens that are ranked below the text; default 10. */
  top?: number
}

interface Missed {
  data: RunData
  local: LocalData
  measure: Measure
  regret: Regret
  /** Of both kinds, by position. */
  total: Float64Array
  /** Positions by it, the greatest first, without those of which nothing was missed. */
  ranked: number[]
}

/**
 * The tokens of a run shaded by what its heads missed of them in run.shadow().local: regret of tokens that a head merged or dropped, over the
 * steps after that. Below, those whose loss cost most. `data`: a row for each token: its regret, split by merging and dropping, how many kv
 * heads lost it and when, and where one head missed most of it. First tokens of merged slots are lost by no event and not counted.
 * Errors: 'invalid' for a shadow without a local part or of another run, a layer or head that the model has not.
 */
export function regretStrip(run: RunLike, shadow: ShadowData, options: RegretStripOptions = {}): Figure {
  const style = styleOptions('regretStrip', options, ['layer', 'kvHead', 'measure', 'top', 'from', 'to'])
  const data = runData('run', run)
  const local = localOf('shadow', shadow)
  const measure = oneOf('measure', options.measure ?? 'probability', ['probability', 'change'])
  const top = integer('top', options.top ?? 10, 1, 100)
  const range = stripRange(data, options)
  if (options.kvHead !== undefined && options.layer === undefined)
    throw invalid('layer', 'a layer beside kvHead', undefined, 'a kv head belongs to a layer')
  headOf(data, options)
  checkSame(data, shadow, local)
  const { layer, kvHead } = options
  const regret = regretOf(local, data.tokens.length, measure, { layer, kvHead })
  const total = regret.merged.map((merged, position) => merged + regret.dropped[position])
  const ranked = Array.from(total.keys())
    .filter((position) => total[position] > 0)
    .sort((a, b) => total[b] - total[a])
  const missed: Missed = { data, local, measure, regret, total, ranked }
  const who = layer === undefined ? '' : kvHead === undefined ? ` of layer ${layer}` : ` ${kvHead} of layer ${layer}`
  const words = wordsOf(missed, who)
  const plot = (chosen: Style, part?: Part): Plot => picture(missed, words, shownRange(range, part), top, chosen)
  const whole: Part = { position: [range.from, range.to] }
  return new Figure(
    {
      call: ['regretStrip', run, shadow, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(missed),
      plot,
      whole,
    },
    style,
  )
}

function checkSame(data: RunData, shadow: ShadowData, local: LocalData): void {
  const same =
    local.layers === data.layers && local.kvHeads === data.kvHeads && shadow.promptTokens === data.promptTokens
  const known = greatest(local.lost.position) < data.tokens.length
  if (!same || !known)
    throw invalid('shadow', 'the shadow of this run', shadow.label ?? shadow.policyName, 'make it with run.shadow()')
}

function greatest(values: ArrayLike<number>): number {
  let most = -1
  for (let i = 0; i < values.length; i++) most = Math.max(most, values[i])
  return most
}

function columnsOf({ data, local, regret, total }: Missed) {
  const each = <T>(value: (position: number) => T) => data.tokens.map(({ position }) => value(position))
  const known = (value: number) => (value < 0 ? null : value)
  const worst = (name: 'layer' | 'kvHead' | 'worstStep') =>
    each((position) => (regret.worstRow[position] < 0 ? null : local.lost[name][regret.worstRow[position]]))
  return {
    position: each((position) => position),
    token: data.tokens.map(({ text }) => text),
    prompt: data.tokens.map(({ prompt }) => prompt),
    regret: each((position) => total[position]),
    merged: each((position) => regret.merged[position]),
    dropped: each((position) => regret.dropped[position]),
    lostHeads: each((position) => regret.heads[position]),
    firstLost: each((position) => known(regret.first[position])),
    lastLost: each((position) => known(regret.last[position])),
    worst: each((position) => regret.worst[position]),
    worstLayer: worst('layer'),
    worstKvHead: worst('kvHead'),
    worstStep: worst('worstStep'),
  }
}

const named = (data: RunData, position: number, style: Pick<Style, 'spelt'> = {}) =>
  `“${tokenText(data.tokens[position].text, style).trim() || '␣'}” at ${plainNumber(position)}`

/** Of single tokens often far below a thousandth. */
function amount(value: number, measure: Measure): string {
  if (measure === 'change') return shortNumber(value)
  return value > 0 && value < 0.001 ? `${shortNumber(100 * value)}%` : percent(value)
}

function wordsOf(
  { data, local, measure, regret, total, ranked }: Missed,
  who: string,
): { title: string; detail: string } {
  const sum = total.reduce((all, one) => all + one, 0)
  const some = (value: number) => amount(value, measure)
  const heads = regret.of > 1 ? `Kv heads${who}` : who ? `Kv head${who}` : 'The kv head'
  const steps = counted(local.steps.length, 'decode step')
  const lost = regret.heads.reduce((all, one) => all + one, 0)
  const losses = `${counted(lost, 'token')} merged or dropped in ${counted(regret.of, 'kv head')}, ${steps}`
  if (!ranked.length) return { title: `${heads}: nothing was missed in ${steps}`, detail: `There were ${losses}.` }
  const [first] = ranked
  let reached = 0
  const half = ranked.findIndex((position) => (reached += total[position]) >= sum / 2) + 1
  const merged = regret.merged.reduce((all, one) => all + one, 0) / sum
  const kinds =
    merged === 1
      ? 'all of it to merged ones'
      : merged === 0
        ? 'all of it to dropped ones'
        : `${percent(merged)} of that to merged ones`
  const at = regret.worstRow[first]
  const worst =
    at < 0
      ? ''
      : ` The most at once is ${percent(regret.worst[first])}, in kv head ${local.lost.kvHead[at]} of layer ${local.lost.layer[at]}, step ${local.lost.worstStep[at]}.`
  return {
    title:
      measure === 'probability'
        ? `${heads} would give ${some(sum)} of ${regret.of === 1 ? 'its' : 'their'} attention to tokens lost before, most to ${named(data, first)}`
        : `${heads}: tokens lost before would change outputs by ${some(sum)}, most of all ${named(data, first)}`,
    detail:
      `${capital(kinds)}; half of it is due to ${plainNumber(half)} of ${counted(ranked.length, 'token')} that were missed at all (${losses}). ` +
      `${named(data, first)} alone is ${percent(total[first] / sum)} of it, lost in ${counted(regret.heads[first], 'head')}.${worst}`,
  }
}

const capital = (words: string) => words[0].toUpperCase() + words.slice(1)

/** On a square root's scale, since few tokens carry most; in fiftieths. */
const shadeOf = (value: number, most: number) =>
  `shade:${most > 0 ? Math.round(50 * Math.sqrt(value / most)) / 50 : 0}` as const

function picture(
  missed: Missed,
  words: { title: string; detail: string },
  range: Required<StripRange>,
  top: number,
  style: Style,
): Plot {
  const { data, measure, regret, total, local } = missed
  const most = total.reduce((a, b) => Math.max(a, b), 0)
  const some = (value: number) => amount(value, measure)
  const strip: Strip = {
    fill: (position) => shadeOf(total[position], most),
    strike: () => false,
    weight: total.map((value) => (most > 0 ? value / most : 0)),
    said: (position) => saidOf(missed, position),
    told: (from, to) => `${some(total.subarray(from, to).reduce((a, b) => a + b, 0))} missed`,
    bin: (from, to) => shadeOf(Math.max(...total.subarray(from, to)), most),
    binWords: 'the darkest counts',
  }
  const narrow = style.size === 'column'
  const label = narrow
    ? 'missed (√):'
    : measure === 'probability'
      ? 'missed of it (square root):'
      : 'change without it (square root):'
  const said = {
    ...words,
    subject: `${subjectWords(data)} · ${counted(local.steps.length, 'step')}, ${counted(regret.of, 'kv head')}`,
    legend: KINDS.filter((kind) => regret[kind].some((value) => value > 0)).map((kind) => ({
      label: narrow ? kind : `after it was ${kind}`,
      swatch: 'box' as const,
      color: COLORS[kind],
    })),
    ramp: { label, from: '0', to: some(most), kind: 'shade' as const },
  }
  return stripPlot(data, strip, said, range, style, ranking(missed, top, style))
}

function saidOf({ data, measure, regret, total, local }: Missed, position: number): string {
  if (!regret.heads[position]) return 'no head lost it'
  const [first, last] = [regret.first[position], regret.last[position]]
  const when = first === last ? `step ${first}` : `steps ${first} to ${last}`
  const row = regret.worstRow[position]
  const worst =
    row < 0
      ? ''
      : `\nat once ${percent(regret.worst[position])}, layer ${local.lost.layer[row]}, kv head ${local.lost.kvHead[row]}, step ${local.lost.worstStep[row]}`
  return `${amount(total[position], measure)} missed\nlost in ${counted(regret.heads[position], 'head')} of ${plainNumber(regret.of)}, ${when}${worst}${data.tokens[position].prompt ? '' : '\ngenerated'}`
}

const KINDS = ['merged', 'dropped'] as const
const COLORS = { merged: 'residual', dropped: 'dropped' } as const

/** The share of the width that the longest bar takes; the rest is for words. */
const LONGEST = 0.5

/** The tokens that cost most as bars, their names beside them. */
function ranking(missed: Missed, top: number, style: Style): Below | undefined {
  const { data, measure, regret, total, ranked } = missed
  const shown = ranked.slice(0, style.size === 'talk' ? Math.min(top, 5) : top)
  if (!shown.length) return undefined
  const boxes = {
    merged: noBoxes('after it was merged', COLORS.merged),
    dropped: noBoxes('after it was dropped', COLORS.dropped),
  }
  const labels: Labels = { kind: 'labels', x: [], y: [], text: [], color: 'ink', anchor: 'start' }
  const most = total[shown[0]]
  const width = style.width - 2 * style.margin
  const narrow = style.size === 'column'
  shown.forEach((position, row) => {
    let x = 0
    for (const kind of KINDS) {
      if (!regret[kind][position]) continue
      addBox(
        boxes[kind],
        [x, (x += regret[kind][position]), row + 0.14, row + 0.86],
        `${named(data, position)}\n${saidOf(missed, position)}`,
      )
    }
    labels.x.push(x + most * 0.02)
    labels.y.push(row + 0.5)
    const heads = narrow || regret.of === 1 ? '' : `, ${counted(regret.heads[position], 'head')}`
    const said = `${amount(total[position], measure)} ${named(data, position, style)}${heads}`
    labels.text.push(shortened(said, width * (1 - LONGEST) - style.text * 2, { size: style.small }))
  })
  const panel: Panel = {
    title:
      shown.length === 1
        ? 'missed at all'
        : narrow || regret.of === 1
          ? 'missed most'
          : 'missed most, with the number of kv heads that lost it',
    share: 1,
    x: { range: [0, most / LONGEST], ticks: 'none' },
    y: { range: [shown.length, 0], ticks: 'none' },
    marks: [...Object.values(boxes).filter(({ x0 }) => x0.length), labels],
  }
  return { panel, height: shown.length * style.small * 1.45 }
}
