/** Error split: how much of the heads' output error comes of dropping, how much merging adds or takes away, and what compensation repairs. */
import { ZslabError } from '../errors.js'
import type { LocalData, ShadowData } from './data.js'
import { Figure } from './figure.js'
import { localOf, meanOf } from './local.js'
import { addBox, noBoxes } from './marks.js'
import type { Axis, Boxes, Line, Panel, Plot } from './plot.js'
import { counted, percent, shortNumber } from './scale.js'
import { styleOptions, type Fill, type Style, type StyleOptions } from './style.js'
import { shortModel } from './words.js'

export type ErrorSplitOptions = StyleOptions

const PARTS = ['dropped', 'merged', 'repaired'] as const
type Part = (typeof PARTS)[number]
/** Apart in grey, too. */
const COLORS: Record<Part, Fill> = { dropped: 'dropped', merged: 'residual', repaired: 'shade:0.3' }

/** Means over heads: [error, then the parts]. */
interface Split extends Record<Part, number> {
  error: number
}

type Parts = LocalData & Record<Part, Float64Array>

/**
 * The output error ‖o − o*‖/‖o*‖ of every head (o under the policy, o* of the same query over the head's own keys and values with nothing
 * removed) in three signed parts that add up to it, from run.shadow().local: what dropping alone costs, what merging without compensation
 * adds (below 0: takes away), what compensation adds (below 0: repairs). Means over query heads, by layer over all steps and by step over all
 * layers. `data`: a row for each step and layer. Errors: 'invalid' for a shadow without a local part, and for a policy whose merged slots
 * are no means of their members, so that the parts are not known.
 */
export function errorSplit(shadow: ShadowData, options: ErrorSplitOptions = {}): Figure {
  const style = styleOptions('errorSplit', options, [])
  const local = localOf('shadow', shadow)
  const { dropped, merged, repaired } = local
  if (!dropped || !merged || !repaired)
    throw new ZslabError(
      'invalid',
      `the error under ${shadow.policyName} has no parts: its merged slots are no means of their members; shadow.local.error is the whole`,
    )
  const parts: Parts = { ...local, dropped, merged, repaired }
  const words = wordsOf(shadow, parts)
  const plot = (chosen: Style): Plot => picture(shadow, words, parts, chosen)
  return new Figure(
    {
      call: ['errorSplit', shadow, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => columnsOf(parts),
      plot,
    },
    style,
  )
}

const splitOf = (parts: Parts, of: Parameters<typeof meanOf>[2] = {}): Split => ({
  error: meanOf(parts, parts.error, of),
  dropped: meanOf(parts, parts.dropped, of),
  merged: meanOf(parts, parts.merged, of),
  repaired: meanOf(parts, parts.repaired, of),
})

function columnsOf(parts: Parts) {
  const { layers, steps } = parts
  const rows = Array.from(steps, (step, row) =>
    Array.from({ length: layers }, (_, layer) => ({
      step,
      layer,
      ...splitOf(parts, { layer, from: row, to: row + 1 }),
    })),
  ).flat()
  const column = <K extends 'step' | 'layer' | keyof Split>(name: K) => rows.map((row) => row[name])
  return {
    step: column('step'),
    layer: column('layer'),
    error: column('error'),
    dropped: column('dropped'),
    merged: column('merged'),
    repaired: column('repaired'),
  }
}

/** 'adds 0.02', 'takes 0.1 off'. */
function does(value: number): string {
  if (value === 0) return 'changes nothing'
  return value > 0 ? `adds ${shortNumber(value)}` : `takes ${shortNumber(-value)} off`
}

function wordsOf({ policyName, label }: ShadowData, parts: Parts): { title: string; detail: string } {
  const all = splitOf(parts)
  const name = label ?? policyName
  const where = `${counted(parts.layers * parts.heads, 'head')} over ${counted(parts.steps.length, 'step')}`
  const byLayer = Array.from({ length: parts.layers }, (_, layer) => splitOf(parts, { layer }))
  const ranked = byLayer.map((_, layer) => layer).sort((a, b) => byLayer[b].error - byLayer[a].error)
  const [worst, best] = [ranked[0], ranked[ranked.length - 1]]
  const range =
    parts.layers > 1
      ? ` It is largest in layer ${worst} (${shortNumber(byLayer[worst].error)}) and smallest in layer ${best} (${shortNumber(byLayer[best].error)}).`
      : ''
  if (all.merged === 0 && all.repaired === 0)
    return {
      title: `${name}: heads' outputs are off by ${shortNumber(all.error)}, all of it from dropping`,
      detail: `Mean of ‖o − o*‖/‖o*‖ of ${where}; nothing was merged.${range}`,
    }
  const helped = parts.error.reduce((sum, error, i) => sum + Number(error < parts.dropped[i]), 0) / parts.error.length
  return {
    title: `${name}: of an error of ${shortNumber(all.dropped)} by dropping, merging ${does(all.merged)} and compensation ${does(all.repaired)}`,
    detail:
      `That leaves ${shortNumber(all.error)}, the mean of ‖o − o*‖/‖o*‖ of ${where}. Merging with compensation is better than dropping alone ` +
      `in ${percent(helped)} of heads and steps.${range}`,
  }
}

const NAMES: Record<Part, string> = {
  dropped: 'dropping alone',
  merged: 'merging, without compensation',
  repaired: 'compensation',
}
const SHORT: Record<Part, string> = { dropped: 'dropping', merged: 'merging', repaired: 'compensation' }

/** A stretch of an axis, and the means in it. */
interface Bar {
  from: number
  to: number
  said: string
  split: Split
}

function picture(
  { model, policyName, label, promptTokens }: ShadowData,
  words: { title: string; detail: string },
  parts: Parts,
  style: Style,
): Plot {
  const narrow = style.size === 'column'
  const { layers, steps } = parts
  const layerBars = Array.from({ length: layers }, (_, layer): Bar => ({
    from: layer - 0.5,
    to: layer + 0.5,
    said: `layer ${layer}`,
    split: splitOf(parts, { layer }),
  }))
  const size = Math.max(1, Math.ceil(steps.length / (style.width / (narrow ? 4 : 5))))
  const stepBars: Bar[] = []
  for (let from = 0; from < steps.length; from += size) {
    const to = Math.min(steps.length, from + size)
    const said = to - from > 1 ? `steps ${steps[from]} to ${steps[to - 1]}` : `step ${steps[from]}`
    stepBars.push({ from: steps[from] - 0.5, to: steps[to - 1] + 0.5, said, split: splitOf(parts, { from, to }) })
  }
  const nothing = PARTS.every(
    (part) => part === 'dropped' || [...layerBars, ...stepBars].every((bar) => bar.split[part] === 0),
  )
  const shown = nothing ? PARTS.slice(0, 1) : PARTS
  const notes = size > 1 ? [`By step, a bar is the mean of ${counted(size, 'step')}.`] : []
  if (!nothing)
    notes.push('Bars are stacked in the order of the legend, those that add above 0, those that take away below.')
  return {
    ...words,
    subject: `${shortModel(model)} · ${label ?? policyName} after ${counted(promptTokens, 'prompt token')} · means of ${counted(parts.heads, 'query head')} a layer`,
    notes,
    legend: [
      ...shown.map((part) => ({
        label: narrow ? SHORT[part] : NAMES[part],
        swatch: 'box' as const,
        color: COLORS[part],
      })),
      { label: narrow ? 'all of it' : 'all of it, ‖o − o*‖/‖o*‖', swatch: 'line', color: 'ink' },
    ],
    arrangement: 'rows',
    panels: [
      panelOf('by layer', { label: 'layer', range: [-0.5, layers - 0.5], whole: true }, layerBars, style),
      panelOf(
        'by step',
        { label: 'decode step', range: [steps[0] - 0.5, steps[steps.length - 1] + 0.5], whole: true },
        stepBars,
        style,
      ),
    ],
    body: narrow ? 300 : 380,
  }
}

function panelOf(title: string, x: Axis, bars: Bar[], style: Style): Panel {
  const gap = bars.length > 60 ? 0 : 0.08
  const boxes = Object.fromEntries(
    PARTS.map((part) => [part, noBoxes(NAMES[part], COLORS[part], gap ? {} : { seamless: true })]),
  ) as Record<Part, Boxes>
  const total: Line & { hover: string[] } = {
    kind: 'line',
    name: 'all of it',
    color: 'ink',
    width: style.text / 7,
    x: [],
    y: [],
    hover: [],
  }
  let [low, high] = [0, 0]
  for (const { from, to, said, split } of bars) {
    const top = { above: 0, below: 0 }
    const hover = [
      said,
      ...PARTS.map((part) => `${NAMES[part]} ${signed(split[part])}`),
      `error ${shortNumber(split.error)}`,
    ].join('\n')
    const inset = gap * (to - from)
    for (const part of PARTS) {
      if (split[part] === 0) continue
      const side = split[part] > 0 ? 'above' : 'below'
      const start = top[side]
      top[side] += split[part]
      addBox(boxes[part], [from + inset, to - inset, Math.min(start, top[side]), Math.max(start, top[side])], hover)
    }
    total.x.push(from, to)
    total.y.push(split.error, split.error)
    total.hover.push(hover, hover)
    low = Math.min(low, top.below)
    high = Math.max(high, top.above, split.error)
  }
  const zero: Line = { kind: 'line', name: 'nothing', color: 'muted', width: 1, x: [...x.range], y: [0, 0] }
  // Paper around the line, so that it stands out on any bar.
  const halo: Line = { ...total, name: 'all of it, around', color: 'paper', width: style.text / 3, hover: undefined }
  const room = (high - low || 1) * 0.06
  return {
    title,
    share: 1,
    x,
    y: {
      label: style.size === 'column' ? 'error' : 'output error',
      range: [low < 0 ? low - room : 0, high + room],
      grid: true,
    },
    marks: [...PARTS.map((part) => boxes[part]).filter(({ x0 }) => x0.length), zero, halo, total],
  }
}

const signed = (value: number) => (value === 0 ? '0' : `${value < 0 ? '−' : '+'}${shortNumber(Math.abs(value))}`)
