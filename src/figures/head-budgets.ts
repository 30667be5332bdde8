/** Head budgets: how many slots each kv head of each layer gets, beside the same for all. */
import { invalid } from '../expect.js'
import { Figure } from './figure.js'
import { addBox, noBoxes } from './marks.js'
import type { Plot } from './plot.js'
import { counted, percent, plainNumber, ticksOf } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { shortModel } from './words.js'

export type HeadBudgetsOptions = StyleOptions

/** What importance.suggestBudgets() gives. */
export interface BudgetsData {
  /** [layers][kvHeads]: slots, or shares of the prompt where `total` is below 1. */
  budgets: readonly (readonly number[])[]
  by: string
  rule: string
  /** Mean of a kv head. */
  total: number
  /** Share of it that every head gets. */
  floor: number
  card: { model: { name: string } }
}

/** Neighbours differ, in grey, too. */
const SHADES = ['shade:0.75', 'shade:0.4'] as const

/**
 * What importance.suggestBudgets() gave: a column for each layer, its kv heads upon each other from kv head 0 on, as high as they have slots (or
 * share of the prompt); dashed what all layers would have if all heads had the same. `data`: a row per kv head (layer, kvHead, budget, and
 * its share of the mean). Errors: 'invalid' for something else.
 */
export function headBudgets(suggested: BudgetsData, options: HeadBudgetsOptions = {}): Figure {
  const style = styleOptions('headBudgets', options, [])
  if (!Array.isArray(suggested?.budgets) || !suggested.budgets.length || !suggested.by)
    throw invalid('suggested', 'what importance.suggestBudgets() gave', suggested)
  const heads = headsOf(suggested)
  const words = wordsOf(suggested, heads)
  const columns = () => ({
    layer: heads.map(({ layer }) => layer),
    kvHead: heads.map(({ kvHead }) => kvHead),
    budget: heads.map(({ budget }) => budget),
    ofMean: heads.map(({ budget }) => budget / meanOf(heads)),
  })
  const plot = (chosen: Style): Plot => ({ ...words, ...picture(suggested, chosen) })
  return new Figure(
    { call: ['headBudgets', suggested, options], summary: `${words.title}. ${words.detail}`, columns, plot },
    style,
  )
}

interface Head {
  layer: number
  kvHead: number
  budget: number
}

const headsOf = ({ budgets }: BudgetsData): Head[] =>
  budgets.flatMap((row, layer) => row.map((budget, kvHead) => ({ layer, kvHead, budget })))
const meanOf = (heads: readonly Head[]) => heads.reduce((sum, { budget }) => sum + budget, 0) / heads.length
const sumOf = (row: readonly number[]) => row.reduce((sum, budget) => sum + budget, 0)

const sizeOf = ({ total }: Pick<BudgetsData, 'total'>, budget: number) =>
  total < 1 ? `${percent(budget)} of the prompt` : counted(Math.round(budget), 'slot')

function wordsOf(given: BudgetsData, heads: Head[]): { title: string; detail: string } {
  const { budgets, by, rule } = given
  const ranked = [...heads].sort((a, b) => b.budget - a.budget)
  const [most, least] = [ranked[0], ranked[ranked.length - 1]]
  const mean = meanOf(heads)
  const all = heads.length * mean
  const tenth = ranked.slice(0, Math.max(1, Math.round(heads.length / 10)))
  const layers = budgets.map(sumOf)
  const top = layers.indexOf(Math.max(...layers))
  const alike = layers[top] - Math.min(...layers) <= 1e-9 * layers[top]
  const equal = most.budget === least.budget
  const named = ({ layer, kvHead, budget }: Head) => `layer ${layer}, kv head ${kvHead} with ${sizeOf(given, budget)}`
  return {
    title: equal
      ? heads.length === 1
        ? `By ${by}, the only kv head gets ${sizeOf(given, mean)}`
        : `By ${by}, all ${counted(heads.length, 'kv head')} get the same: ${sizeOf(given, mean)}`
      : `By ${by}, the largest budget is ${plainNumber(most.budget / mean, 1)} times the mean: ${named(most)}`,
    detail: equal
      ? `Rule ${rule}, ${counted(budgets.length, 'layer')}.`
      : `The least is ${named(least)}; the mean ${sizeOf(given, mean)}. The largest tenth of heads has ${percent(sumOf(tenth.map(({ budget }) => budget)) / all)} of everything; ${alike ? 'all layers have as much' : `of layers, ${top} has most, ${percent(layers[top] / all)}`}.`,
  }
}

function picture(given: BudgetsData, style: Style) {
  const { budgets, rule, floor, total, card } = given
  const narrow = style.size === 'column'
  const layers = budgets.length
  const kvHeads = budgets[0].length
  const bars = SHADES.map((color, odd) => noBoxes(odd ? 'odd kv heads' : 'even kv heads', color))
  budgets.forEach((row, layer) => {
    let from = 0
    row.forEach((budget, kvHead) => {
      const said = `layer ${layer}, kv head ${kvHead}\n${sizeOf(given, budget)}`
      addBox(bars[kvHead % 2], [layer - 0.42, layer + 0.42, from, from + budget], said)
      from += budget
    })
  })
  const even = kvHeads * meanOf(headsOf(given))
  const said = `all alike: ${sizeOf(given, even / kvHeads)} each`
  const high = Math.max(even, ...budgets.map(sumOf)) * 1.05
  const shares = ticksOf({ range: [0, high] }, 5).map(({ at }) => ({ at, text: percent(at) }))
  return {
    subject: `${shortModel(card.model.name)} · ${counted(layers, 'layer')} of ${counted(kvHeads, 'kv head')}, rule ${rule}, floor ${percent(floor)} of the mean`,
    notes: [],
    legend: [
      { label: narrow ? 'even' : 'kv heads 0, 2 …', swatch: 'box' as const, color: SHADES[0] },
      ...(kvHeads > 1
        ? [{ label: narrow ? 'odd kv heads' : 'kv heads 1, 3 …', swatch: 'box' as const, color: SHADES[1] }]
        : []),
      { label: narrow ? 'all alike' : 'the same for all', swatch: 'dash' as const, color: 'ink' as const },
    ],
    arrangement: 'rows' as const,
    panels: [
      {
        share: 1,
        x: {
          label: 'layer',
          range: [-0.7, layers - 0.3] as [number, number],
          whole: true,
          ...(layers === 1 && { ticks: [{ at: 0, text: '0' }] }),
        },
        y: {
          label:
            total < 1
              ? narrow
                ? 'of the prompt'
                : 'shares of the prompt, all kv heads'
              : narrow
                ? 'slots'
                : 'slots of all kv heads',
          range: [0, high] as [number, number],
          grid: true,
          ...(total < 1 && { ticks: shares }),
        },
        marks: [
          ...bars,
          {
            kind: 'line' as const,
            name: 'the same for all',
            color: 'ink' as const,
            dash: true,
            width: style.text / 9,
            x: [-0.7, layers - 0.3],
            y: [even, even],
            hover: [said, said],
          },
        ],
      },
    ],
    body: narrow ? 180 : 240,
  }
}
