/** The columns of an autopsy's and of averages' tables, in their order: type, what stands for a missing value, meaning. A line each. */
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
