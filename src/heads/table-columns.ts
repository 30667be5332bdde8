/** The columns of tables of heads, in their order: type, what stands for a missing value, meaning. */
import type { TableColumn } from '../inspect/tables.js'
import type { MeasuredHeads } from './facts.js'

const PLACE: readonly TableColumn[] = [
  { name: 'layer', type: 'uint16', about: 'from 0' },
  { name: 'head', type: 'uint16', about: 'query head, from 0' },
  { name: 'kvHead', type: 'uint16', about: 'that it shares, from 0' },
]

/** Of headRows(). */
export const headColumns = (measures: readonly MeasuredHeads[]): readonly TableColumn[] => [
  ...PLACE,
  ...measures.map(({ name, unit, formula }): TableColumn => {
    const about = `[${unit}] ${formula}; null: not asked for`
    return { name, type: 'float64', none: NaN, about }
  }),
]

const ends = (name: string): TableColumn[] =>
  ['Low', 'High'].map((end) => ({
    name: `${name}${end}`,
    type: 'float64',
    none: NaN,
    about: 'end of its interval over texts; null: too few texts',
  }))

/** Of an agreement's table. */
export const AGREEMENT_COLUMNS: readonly TableColumn[] = [
  { name: 'a', type: 'text', about: 'a measure' },
  { name: 'b', type: 'text', about: 'another' },
  { name: 'heads', type: 'int32', about: 'that both have' },
  ...[
    { name: 'spearman', about: "Spearman's ρ; null: one of them is constant" },
    { name: 'kendall', about: "Kendall's τ-b" },
    { name: 'top', about: 'share of the top quarter of a that is in the top quarter of b' },
  ].flatMap(({ name, about }): TableColumn[] => [{ name, type: 'float64', none: NaN, about }, ...ends(name)]),
]

/** Of a judgement's table. */
export const JUDGEMENT_COLUMNS: readonly TableColumn[] = [
  { name: 'measure', type: 'text', about: 'whose order it is; random: mean of random orders' },
  { name: 'taken', type: 'int32', about: 'heads that are taken' },
  { name: 'share', type: 'float64', about: 'of all heads' },
  { name: 'kl', type: 'float64', about: 'mean over texts, KL(untouched ‖ without the heads), nats a token' },
  ...ends('kl'),
  { name: 'loss', type: 'float64', about: 'mean over texts, change of −ln p of the next token, nats a token' },
  ...ends('loss'),
]

/** Of measureRows(). */
export const MEASURE_COLUMNS: readonly TableColumn[] = [
  { name: 'measure', type: 'text', about: 'its name' },
  ...PLACE,
  { name: 'value', type: 'float64', about: 'over all texts; one of a kv head is repeated over its query heads' },
  { name: 'low', type: 'float64', none: NaN, about: 'of the interval of its mean over texts; null: too few texts' },
  { name: 'high', type: 'float64', none: NaN, about: 'of that interval' },
  { name: 'texts', type: 'int32', about: 'that say something of it; 0: read from a file of others' },
  { name: 'reliability', type: 'float64', none: NaN, about: "the measure's agreement with itself on other texts" },
  { name: 'unit', type: 'text', about: 'of value, low and high' },
]
