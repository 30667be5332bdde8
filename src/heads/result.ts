/** What headImportance() found. */
import { showsItself } from '../show/show.js'
import { importanceText } from '../show/importance-text.js'
import { saveTable } from '../inspect/tables.js'
import { Tabular } from '../inspect/tabular.js'
import { csvOf, frame } from '../frames.js'
import { shown, ZslabError } from '../errors.js'
import { invalid, options as checkedOptions } from '../expect.js'
import type { LoadedModel } from '../loaded-model.js'
import type { TraceCell } from '../trace/columns.js'
import { cameOf, lasting, madeBy, Place, Recipe } from '../recipe/recipe.js'
import { resamplesOf, seedOf } from '../statistics/bootstrap.js'
import { meanInterval, type IntervalOptions, type MeanInterval } from '../statistics/intervals.js'
import { reliabilityOf } from './agreement.js'
import { Agreements } from './agreements.js'
import { certify, type CertifiedBudgets, type CertifyOptions } from './certify.js'
import { BudgetCurves } from './curves.js'
import type { Distances, ImportanceFacts, ImportanceParts, MeasuredHeads } from './facts.js'
import { headRows, measureRows, tableAsked, type ImportanceTable } from './importance-tables.js'
import { importedParts, type FromOptions } from './imported.js'
import { judge } from './judge.js'
import type { JudgeOptions } from './judge-options.js'
import type { Judgement } from './judgement.js'
import type { Measure } from './measure.js'
import { FORMAT, VERSION } from './saved.js'
import { headColumns, MEASURE_COLUMNS } from './table-columns.js'
import { suggestBudgets, type SuggestOptions, type SuggestedBudgets } from './suggest.js'

export class Importance extends Tabular {
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  /** By name, in the order that they were asked for. */
  readonly measures: Readonly<Record<string, MeasuredHeads>>
  /** Of the measure `distance`; null: it was not asked for. */
  readonly distances: Distances | null
  /** Of the measure `budgetCurve`, by kv head and kept share; null: it was not asked for. */
  readonly curves: BudgetCurves | null
  readonly facts: ImportanceFacts

  /** @internal */
  constructor(
    { shape: { layers, heads, kvHeads }, found, distances, curves, facts }: ImportanceParts,
    /** In memory only. */
    readonly model?: LoadedModel,
  ) {
    super()
    this.distances = distances
    this.curves = curves && new BudgetCurves(curves, facts)
    this.facts = facts
    this.layers = layers
    this.heads = heads
    this.kvHeads = kvHeads
    const rows = (values: Float64Array, each = heads) =>
      Array.from({ length: layers }, (_, layer) => values.slice(layer * each, (layer + 1) * each))
    this.measures = Object.fromEntries(
      found.map(({ measure, values, perText, random, reliability }) => [
        measure.name,
        {
          ...measure,
          random,
          reliability: reliability ?? reliabilityOf({ perText }),
          values: rows(values),
          perText: perText.map((each) => rows(each)),
          kvValues: rows(byKvHead(values, heads / kvHeads, measure.kv), kvHeads),
        },
      ]),
    )
  }

  /**
   * Measures from a file, as measured ones are: DuoAttention's `full_attention_heads.tsv`, scores of Retrieval_Head, HeadKV and KVzip (which files:
   * readPublished()), one measure of all heads and of no text; and whatever JSON.stringify(importance) wrote, all of it. `model`, or `heads`
   * and `kvHeads`, say how query heads share kv heads, which files of others do not. Errors: 'file' with what was found and where; 'invalid'
   * for a model of another shape.
   */
  static async from(path: string, options: FromOptions = {}): Promise<Importance> {
    const importance = new Importance(await importedParts(path, options), options.model)
    return madeBy(importance, Recipe.of('Importance.from', [new Place(path), options]))
  }

  /**
   * These measures and those of `other`, so that they agree(), or are judged, together. Errors: 'invalid' where the other is of another shape, has
   * texts or a policy that are not these, or a measure of the same name.
   */
  with(other: Importance): Importance {
    if (!(other instanceof Importance)) throw invalid('other', 'an Importance', other)
    return cameOf(joinedWith(this, other), this, 'with', [other])
  }

  get card(): ImportanceFacts['card'] {
    return this.facts.card
  }

  /** One measure. Errors: 'invalid' for one that was not asked for. */
  of(name: string): MeasuredHeads {
    const found = typeof name === 'string' && Object.hasOwn(this.measures, name) ? this.measures[name] : undefined
    if (found) return found
    throw new ZslabError(
      'invalid',
      `${shown(name)} was not measured; there are: ${Object.keys(this.measures).join(', ')}`,
    )
  }

  /**
   * One measure's interval over texts of every head, [layers][heads]; null for heads that were not asked for. Of the mean of the texts' own values,
   * which is the value but for `duoOnTheFly`, which pools texts before it scores. See meanInterval().
   */
  intervals(name: string, options: IntervalOptions = {}): (MeanInterval | null)[][] {
    checkedOptions('importance.intervals', options, ['method', 'level', 'seed', 'resamples'])
    const { perText, values } = this.of(name)
    const seed = seedOf(options.seed)
    if (!perText.length)
      throw new ZslabError(
        'invalid',
        `${name} was read from a file and is of no text, so that there is no interval over texts: measure it with headImportance()`,
      )
    return values.map((row, layer) =>
      Array.from(row, (value, head) => {
        if (Number.isNaN(value)) return null
        // A text may say nothing of a measure.
        const each = perText.map((text) => text[layer][head]).filter((one) => !Number.isNaN(one))
        return meanInterval(each, { ...options, seed })
      }),
    )
  }

  /** How far the measures agree, two by two. `seed`, `resamples` (default 200): of the intervals over texts. */
  agreement(options: { seed?: number; resamples?: number } = {}): Agreements {
    checkedOptions('importance.agreement', options, ['seed', 'resamples'])
    const draws = { seed: seedOf(options.seed), resamples: resamplesOf(options.resamples, 200) }
    const scored = Object.values(this.measures).map(({ name, values, perText, random, reliability }) => ({
      name,
      reliability,
      values: joined(values),
      perText: perText.map(joined),
      ownTexts: random || !perText.length,
    }))
    return cameOf(new Agreements(scored, draws, this.card), this, 'agreement', [draws])
  }

  /**
   * Which measure's order of heads is right about damage? By each the heads that it calls least important are taken, ever more of them (equals: the
   * lower layer, then the lower head, first): output of query heads zeroed, or, by `budget`, cache of kv heads made small, a measure being one of
   * kv heads as `kv` says. Damage is what predictions of each text's last rows lose against the untouched model with keys and values in
   * float32; beside it stand random orders. Texts are the measures' own unless others are given. Intervals over texts as of meanInterval().
   * Errors: 'invalid' naming the option, the text, or the head that was not measured, before anything is read; 'file' for a store that
   * cannot be read or written.
   */
  async judge(options: JudgeOptions = {}): Promise<Judgement> {
    if (!this.facts.texts.length && options?.texts === undefined && this.model)
      throw new ZslabError(
        'invalid',
        'these scores were read from a file and are of no text: give judge() the texts to read',
      )
    // It checks what it is given.
    const judgement = await judge(this, options)
    const kept = options.store === undefined ? {} : { store: new Place(options.store) }
    return cameOf(judgement, this, 'judge', [{ ...lasting(options), ...kept }])
  }

  /**
   * Slots for each kv head by one measure, in place of a policy's budget: session({ policy, budgets }). Scores s are ≥ 0 (below 0 counts as 0); query
   * heads' become kv heads' by their largest. With N kv heads the rules give a head
   * - proportional: total·(floor + (1 − floor)·N·s/Σs);
   * - adakv (arXiv 2407.11550): the same within each layer, all layers alike;
   * - headkv (arXiv 2410.19258): of a pool of ⌊(1 − floor)·total⌋ slots a head, the part that its greatest query head has of all; whole slots only;
   * - greedy, of the curves of budgetCurve (Attention Matching, arXiv 2602.16284): floor·total to begin with, then each next slot to the head with the
   *   greatest marginal gain −dL/ds at what it has so far, L(s) the greatest convex function below its loss by kept share, until the mean is
   *   total. Slots (total ≥ 1) are of a prompt as long as those that were measured are in the mean.
   *
   * Errors: 'invalid' naming the option, or the head that was not measured; for greedy by a measure that has no curves.
   */
  suggestBudgets(options: SuggestOptions): SuggestedBudgets {
    return cameOf(suggestBudgets(this, options), this, 'suggestBudgets', [options])
  }

  /**
   * The smallest of `totals` whose budgets by one measure keep the expected loss of a text to come under `level`, from texts that were held out: give others
   * than were measured on. Each text's beginning is its prompt, its last rows are decoded under `policy` and the full cache; losses are clipped to
   * [0, bound] and made monotone over totals (certifiedChoice(): Angelopoulos et al. 2022, arXiv 2208.02814). The promise is of texts drawn
   * like these, in the mean over such sets of texts. Errors: 'invalid' naming the option or the text, and for too few texts, with how many
   * are needed.
   */
  async certify(options: CertifyOptions): Promise<CertifiedBudgets> {
    return certify(this.model, (one) => this.suggestBudgets(one), options)
  }

  /** A row for each query head: layer, head, kvHead, and each measure (null: the head was not asked for). */
  table(): Record<string, TraceCell[]> {
    return headRows(this, Object.values(this.measures))
  }

  /**
   * A row for each measure and query head that was asked for: measure, layer, head, kvHead, its value, low and high (ends of the interval over
   * texts, as of intervals(); null: too few texts), the texts that say something of it, the measure's reliability and unit.
   */
  byMeasure(options: IntervalOptions = {}): Record<string, TraceCell[]> {
    const seed = seedOf(options.seed)
    return measureRows(this, Object.values(this.measures), ({ name, perText }) =>
      perText.length ? this.intervals(name, { ...options, seed }) : null,
    )
  }

  /** table() as a danfojs frame, or byMeasure(). Errors: 'unsupported' without danfojs. */
  override frame(options: ImportanceTable = {}): ReturnType<typeof frame> {
    return frame(this.rows(options))
  }

  /** table() as CSV, or byMeasure(). */
  override csv(options: ImportanceTable = {}): string {
    return csvOf(this.rows(options))
  }

  /**
   * Writes table(), or byMeasure(), by the path's ending, .arrow or .parquet, the card and what each column means in the schema's metadata
   * (zslab.table, JSON). Returns the path. Errors: 'invalid' for another ending, 'file' where it cannot be written.
   */
  async save(path: string, options: ImportanceTable = {}): Promise<string> {
    const rows = this.rows(options)
    const columns = options.by === 'measure' ? MEASURE_COLUMNS : headColumns(Object.values(this.measures))
    return saveTable(path, 'the measures', columns, rows, [this.card])
  }

  private rows(options: ImportanceTable): Record<string, TraceCell[]> {
    const { by, intervals } = tableAsked(options)
    return by === 'measure' ? this.byMeasure(intervals) : this.table()
  }

  /** Everything, with the card; numbers that are not there are null. */
  toJSON(): Record<string, unknown> {
    const plain = (rows: readonly Float64Array[]) =>
      rows.map((row) => Array.from(row, (value) => (Number.isFinite(value) ? value : null)))
    const measures = Object.values(this.measures).map(({ values, perText, kvValues, ...about }) => [
      about.name,
      {
        ...about,
        least: finite(about.least),
        most: finite(about.most),
        values: plain(values),
        kvValues: plain(kvValues),
        perText: perText.map(plain),
      },
    ])
    const { layers, heads, kvHeads } = this
    return {
      format: FORMAT,
      version: VERSION,
      layers,
      heads,
      kvHeads,
      ...this.facts,
      distances: this.distances && {
        bins: this.distances.bins,
        shares: this.distances.shares.map(plain),
      },
      curves: this.curves && { shares: this.curves.shares, others: this.curves.others, perText: this.curves.perText },
      measures: Object.fromEntries(measures) as unknown,
    }
  }
}

showsItself(Importance.prototype, importanceText)

function joinedWith(one: Importance, other: Importance): Importance {
  const [of, its] = [one, other].map(
    ({ layers, heads, kvHeads }) => `${layers} layers × ${heads} query heads on ${kvHeads} kv heads`,
  )
  if (of !== its) throw new ZslabError('invalid', `${its} cannot be put beside ${of}: both must be of one model`)
  const twice = Object.keys(other.measures).find((name) => Object.hasOwn(one.measures, name))
  if (twice !== undefined)
    throw new ZslabError(
      'invalid',
      `both have a measure ${twice}: read the file under another name, Importance.from(path, { name })`,
    )
  const [first, second] = [one, other].map(({ facts }) => JSON.stringify(facts.texts.map(({ ids }) => ids)))
  if (one.facts.texts.length && other.facts.texts.length && first !== second)
    throw new ZslabError(
      'invalid',
      'the two were measured on different texts: measure both on the same, or put measures from a file beside them',
    )
  const policies = [one, other].map(({ facts }) => facts.policy)
  if (policies[0] !== null && policies[1] !== null && policies[0] !== policies[1])
    throw new ZslabError(
      'invalid',
      `the two were measured under different policies, ${policies.join(' and ')}: measure both under the same`,
    )
  // What was measured says which texts, and by what.
  const base = one.facts.texts.length || !other.facts.texts.length ? one : other
  const found = [one, other].flatMap(({ measures }) =>
    Object.values(measures).map(({ values, perText, random, reliability, kvValues: _, ...measure }) => ({
      measure,
      values: joined(values),
      perText: perText.map(joined),
      random,
      reliability,
    })),
  )
  const { facts } = base
  const rest = base === one ? other : one
  const seeds = (of: 'seeds' | 'needleSeeds') => (facts[of].length ? facts[of] : rest.facts[of])
  const policy = facts.policy ?? rest.facts.policy
  const both = { ...facts, policy, seeds: seeds('seeds'), needleSeeds: seeds('needleSeeds') }
  const distances = one.distances ?? other.distances
  const curves = one.curves ?? other.curves
  return new Importance({ shape: one, found, distances, curves, facts: both }, base.model ?? rest.model)
}

const joined = (rows: readonly Float64Array[]) => Float64Array.from(rows.flatMap((row) => Array.from(row)))
const finite = (value: number) => (Number.isFinite(value) ? value : null)

/** [layers * kvHeads]; of the heads that are there. */
function byKvHead(values: Float64Array, group: number, kv: Measure['kv']): Float64Array {
  return Float64Array.from({ length: values.length / group }, (_, at) => {
    const own = values.subarray(at * group, (at + 1) * group).filter((value) => !Number.isNaN(value))
    if (!own.length) return NaN
    return kv === 'mean' ? own.reduce((sum, value) => sum + value, 0) / own.length : Math.max(...own)
  })
}
