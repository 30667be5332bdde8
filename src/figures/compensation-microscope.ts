/** Compensation microscope: the mass that merged slots of one head got beside what their members would have had, and which α fits. */
import { invalid } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { HeadCompensation } from '../inspect/compensation.js'
import { logRatio, massOf, misfit, picture, type Pairs } from './compensation-plot.js'
import { Figure } from './figure.js'
import type { Plot } from './plot.js'
import { counted, percent, plainNumber, shortNumber } from './scale.js'
import { styleOptions, type Style, type StyleOptions } from './style.js'
import { spreadOf } from './survival-spread.js'

/**
 * Of run.compensation({ layer, kvHead }): for every query and merged slot the mass that its members would have had (as a share of all attention,
 * nothing removed) and what the slot got under the run's α, with its weight w as size; the logarithm of their ratio over steps; and how
 * far off each α from 0 to 2 would be, with the one that fits. In a notebook a slider moves the masses to any of these α.
 * `data`: a row per query head, query and merged slot. Errors: 'invalid' for something else, and where no merged slot was read.
 */
export function compensationMicroscope(compensation: HeadCompensation, options: StyleOptions = {}): Figure {
  const style = styleOptions('compensationMicroscope', options, [])
  if (
    typeof compensation !== 'object' ||
    compensation === null ||
    !('columns' in compensation) ||
    !('fitted' in compensation)
  )
    throw invalid(
      'compensation',
      'the compensation of one head',
      compensation,
      'figures.compensationMicroscope(run.compensation({ layer, kvHead }))',
    )
  const { columns, layer, kvHead } = compensation
  const rows = [...columns.weight.keys()].filter((row) => columns.weight[row] > 1)
  if (!rows.length || !compensation.fitted)
    throw new ZslabError(
      'invalid',
      `no query of layer ${layer}, kv head ${kvHead} read a merged slot, so nothing was compensated: take a policy that merges, and a budget below the prompt`,
    )
  const pairs: Pairs = { of: compensation, rows, lnWeight: Float64Array.from(columns.weight, Math.log) }
  const words = wordsOf(pairs)
  const of = (values: ArrayLike<number>) => rows.map((row) => values[row])
  const data = {
    step: of(columns.step),
    position: of(columns.position),
    head: of(columns.head),
    slot: of(columns.slot),
    weight: of(columns.weight),
    membersMass: of(columns.membersProb),
    slotMass: rows.map((row) => massOf(pairs, row, undefined)),
    logRatio: of(columns.massLogRatio),
  }
  const plot = (chosen: Style): Plot => picture(pairs, words, chosen)
  return new Figure(
    {
      call: ['compensationMicroscope', compensation, options],
      summary: `${words.title}. ${words.detail}`,
      columns: () => data,
      plot,
    },
    style,
  )
}

function wordsOf(pairs: Pairs): { title: string; detail: string } {
  const { layer, kvHead, alpha, fitted, error, reads } = pairs.of
  const ratios = pairs.rows.map((row) => logRatio(pairs, row, undefined))
  const sorted = Float64Array.from(ratios).sort()
  const median = Math.exp(sorted[sorted.length >> 1])
  const { low, high } = spreadOf(sorted)
  const interval = fitted!.interval
  const range = interval ? ` (95%: ${plainNumber(interval.low, 2)} to ${plainNumber(interval.high, 2)})` : ''
  return {
    title: `Layer ${layer}, kv head ${kvHead}: α is ${plainNumber(alpha, 2)}, and ${plainNumber(fitted!.alpha, 2)} would fit${range}`,
    detail:
      `At ${counted(reads, 'step')} merged slots get ${shortNumber(median)} times the mass of their members (median of ${counted(ratios.length, 'pair')} of query and slot; ` +
      `the middle 80%: ${shortNumber(Math.exp(low))} to ${shortNumber(Math.exp(high))} times). Off by ${shortNumber(misfit(pairs, alpha))} nats (root mean square) at this α, ` +
      `${shortNumber(fitted!.rms)} at the one that fits. The head's output is off by ${percent(error)}.`,
  }
}
