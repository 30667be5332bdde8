/** The columns of tables of what was found, in their order: type, what stands for a missing value, meaning. A line each. */
import type { TableColumn } from './tables.js'

export const AUTOPSY_COLUMNS: readonly TableColumn[] = [
  { name: 'layer', type: 'uint16', about: 'from 0' },
  { name: 'kvHead', type: 'uint16', about: 'from 0' },
  { name: 'position', type: 'int32', about: "the token's place in the text, from 0" },
  { name: 'token', type: 'text', about: 'its text' },
  {
    name: 'fate',
    type: 'text',
    about: 'kept (a slot of its own), blurred (in a merged slot), dropped: never or later',
  },
  { name: 'slot', type: 'int32', none: -1, about: 'where it is; null: nowhere' },
  { name: 'weight', type: 'int32', none: 0, about: 'tokens that this slot stands for' },
  { name: 'share', type: 'float64', none: NaN, about: 'of this slot: 1 / weight' },
  { name: 'event', type: 'text', none: -1, about: 'what took its own slot: merge, join (another came into it), drop' },
  { name: 'step', type: 'int32', none: -1, about: 'of that event: 0 = the prompt, then one for every token' },
  { name: 'lost', type: 'text', none: -1, about: 'first: at the first choice at which it was a candidate; later' },
  { name: 'reason', type: 'text', none: -1, about: 'why it was chosen to leave' },
  { name: 'rank', type: 'int32', none: -1, about: 'its place among the candidates then, 0 = the first to leave' },
  { name: 'score', type: 'float32', none: NaN, about: 'its score then' },
  { name: 'threshold', type: 'float32', none: NaN, about: 'the lowest score of a candidate that stayed' },
  { name: 'margin', type: 'float64', none: NaN, about: 'score − threshold' },
]

export const AVERAGES_COLUMNS: readonly TableColumn[] = [
  {
    name: 'measure',
    type: 'text',
    about: 'alone, merged, gone: shares of tokens × kv heads; regret: of full attention',
  },
  { name: 'layer', type: 'int32', none: -1, about: 'from 0; null: all of them' },
  { name: 'bin', type: 'int32', about: 'part of the text, from 0' },
  { name: 'from', type: 'float64', about: 'where it begins, 0 to 1 of the text' },
  { name: 'to', type: 'float64', about: 'where it ends' },
  { name: 'texts', type: 'int32', about: 'that have a value' },
  { name: 'mean', type: 'float64', about: 'of these' },
  { name: 'sd', type: 'float64', none: NaN, about: 'their standard deviation; null of one' },
  { name: 'least', type: 'float64', about: 'of these' },
  { name: 'most', type: 'float64', about: 'of these' },
]

/** Of an autopsy by layer. */
export const AUTOPSY_LAYER_COLUMNS: readonly TableColumn[] = [
  { name: 'layer', type: 'int32', none: -1, about: 'from 0; null: all of them' },
  { name: 'globalEviction', type: 'float64', about: 'share of the span that has a slot of its own in no kv head' },
  {
    name: 'agreement',
    type: 'float64',
    none: NaN,
    about: 'mean pairwise Jaccard of what heads keep; null: no two keep any',
  },
  { name: 'kept', type: 'float64', about: 'share of places (heads × positions) in slots of their own' },
  { name: 'blurred', type: 'float64', about: 'in merged slots' },
  { name: 'never', type: 'float64', about: 'dropped at the first choice at which they were candidates' },
  { name: 'later', type: 'float64', about: 'dropped after that' },
]

export const COMPENSATION_COLUMNS: readonly TableColumn[] = [
  { name: 'step', type: 'int32', about: '1 = the first after the prompt' },
  { name: 'position', type: 'int32', about: "of the query's token" },
  { name: 'head', type: 'uint16', about: 'query head of the group, from 0' },
  { name: 'slot', type: 'int32', about: 'that it read' },
  { name: 'first', type: 'int32', about: "position of the slot's first member" },
  { name: 'weight', type: 'int32', about: 'tokens that the slot stands for, w' },
  { name: 'bias', type: 'float64', about: 'α · ln w' },
  { name: 'prob', type: 'float64', about: 'that the slot received' },
  { name: 'membersProb', type: 'float64', about: 'that its members have with nothing removed' },
  { name: 'lnMass', type: 'float64', about: 'α · ln w + q·k/√d' },
  { name: 'membersLnMass', type: 'float64', about: 'ln Σ exp(q·k/√d) of its members' },
  { name: 'probLogRatio', type: 'float64', about: 'ln(prob / membersProb)' },
  { name: 'massLogRatio', type: 'float64', about: 'lnMass − membersLnMass' },
  { name: 'token', type: 'text', about: "text of the slot's first member" },
]

export const ABLATION_COLUMNS: readonly TableColumn[] = [
  { name: 'layer', type: 'uint16', about: 'from 0' },
  { name: 'kvHead', type: 'uint16', about: 'from 0' },
  { name: 'alpha', type: 'float64', about: 'of corners with bias' },
  { name: 'keys', type: 'text', about: "of merged slots: mean of members', or fixed at the first's" },
  { name: 'values', type: 'text', about: 'the same' },
  { name: 'bias', type: 'text', about: 'α · ln w on or off' },
  { name: 'error', type: 'float64', about: 'mean ‖o − o*‖/‖o*‖ over steps and query heads' },
  { name: 'low', type: 'float64', none: NaN, about: 'of its 95% interval; null with fewer than two steps' },
  { name: 'high', type: 'float64', none: NaN, about: 'of its 95% interval' },
  { name: 'difference', type: 'float64', about: 'from keys mean, values mean, bias on' },
  { name: 'differenceLow', type: 'float64', none: NaN, about: 'of its 95% interval' },
  { name: 'differenceHigh', type: 'float64', none: NaN, about: 'of its 95% interval' },
]
