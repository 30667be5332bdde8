/** What judge() is asked for, checked. */
import { ZslabError } from '../errors.js'
import { callOptions, integer, invalid, number, oneOf, text as checkedText } from '../expect.js'
import { usable, type LoadedModel, type TextOrIds } from '../loaded-model.js'
import type { CallOptions } from '../native/call.js'
import { policyNamed, policyOf, resolve, type Policy } from '../policies/index.js'
import { shareOrCount } from '../policies/options.js'
import { Reading } from '../reading.js'
import { ablated } from './damage-ablated.js'
import { budgetsWith, compressed, STORAGE } from './damage-compressed.js'
import type { Taking } from './damage.js'
import { RANDOM } from './judged.js'
import { folderOf } from './store.js'
import { textsOf } from './texts.js'

export const TAKES = ['ablate', 'compress'] as const

export interface JudgeOptions extends CallOptions {
  /** Names of measures; default all that were measured. */
  by?: string | readonly string[]
  /**
   * What is done to the heads that are taken. ablate (default): the output of query heads, before the output projection, set to 0. compress (default
   * where a budget or policy is given): the cache of kv heads made small, that of the others holding everything.
   */
  take?: (typeof TAKES)[number]
  /** To compress: slots of a kv head that is taken (≥ 1), or share of the prompt (< 1); default the policy's. */
  budget?: number
  /** To compress: who says what leaves; default zsmerge. Its own budget counts only where none is given here. */
  policy?: Policy
  /** Shares of heads that are taken, above 0 and up to 1, each at least one head; default 1/16, 2/16 … 8/16. */
  shares?: readonly number[]
  /** Other texts than those measured on, as of headImportance(). */
  texts?: TextOrIds | readonly TextOrIds[]
  /** Tokens of a text, its first, that are read; default as of what was measured. */
  tokens?: number
  /** The last rows of those that count; default as of what was measured. To compress, what comes before them is the prompt. */
  rows?: number
  /** Of random orders and of intervals: 0 to 2³² − 1, default 1; counted on by one for each order. */
  seed?: number
  /** Random orders, whose mean is the baseline; default 5. */
  randomOrders?: number
  /** A folder where partial results are kept while they are made, and gone on from. */
  store?: string
}

const OPTIONS = ['by', 'take', 'budget', 'policy', 'shares', 'texts', 'tokens', 'rows', 'seed', 'randomOrders', 'store']
const SHARES = Array.from({ length: 8 }, (_, i) => (i + 1) / 16)

/** What judging needs of what was measured. */
export interface Measured {
  layers: number
  heads: number
  kvHeads: number
  model?: LoadedModel
  measures: Readonly<Record<string, unknown>>
  facts: { texts: readonly { ids: readonly number[] }[]; tokens: number; rows: number }
  of(name: string): { values: readonly Float64Array[]; kvValues: readonly Float64Array[] }
}

export interface Asked {
  model: LoadedModel
  /** [layers * heads] of query heads, or of kv heads, as they are taken. */
  measures: { name: string; values: Float64Array }[]
  take: (typeof TAKES)[number]
  budget: number | null
  policy: string | null
  taking: Taking
  /** Heads that there are. */
  count: number
  points: { taken: number; share: number }[]
  texts: Int32Array[]
  sameTexts: boolean
  rows: number
  seeds: number[]
  store: string | undefined
}

export function judgeAsked(measured: Measured, options: JudgeOptions): Asked {
  callOptions('importance.judge', options, OPTIONS)
  const { model } = measured
  if (!model)
    throw new ZslabError(
      'invalid',
      'judging reads texts with the model, and these scores were not measured with one: measure with headImportance(model, …)',
    )
  usable(model)
  const compresses = options.budget !== undefined || options.policy !== undefined
  const take = options.take === undefined ? (compresses ? 'compress' : 'ablate') : oneOf('take', options.take, TAKES)
  if (take === 'ablate' && compresses) {
    const name = options.budget !== undefined ? 'budget' : 'policy'
    throw invalid(name, "none beside take: 'ablate'", options[name], "leave it out, or take: 'compress'")
  }
  const { layers, heads, kvHeads } = measured
  const count = layers * (take === 'ablate' ? heads : kvHeads)
  const measures = measuresOf(measured, options.by, take)
  const points = pointsOf(options.shares, count)
  const { context } = model.description
  const tokens = options.tokens === undefined ? measured.facts.tokens : integer('tokens', options.tokens, 2, context)
  const rows =
    options.rows === undefined ? Math.min(measured.facts.rows, tokens) : integer('rows', options.rows, 2, tokens)
  const seed = options.seed === undefined ? 1 : integer('seed', options.seed, 0, 2 ** 32 - 1)
  const orders = options.randomOrders === undefined ? 5 : integer('randomOrders', options.randomOrders, 1, 1000)
  const store = options.store === undefined ? undefined : folderOf(options.store)
  const sameTexts = options.texts === undefined
  const whole = sameTexts ? measured.facts.texts.map(({ ids }) => Int32Array.from(ids)) : textsOf(model, options.texts)
  const texts = whole.map((ids) => ids.slice(0, tokens))
  checkLengths(texts, take, rows)
  const common = { model, measures, take, count, points, texts, sameTexts, rows, store }
  const seeds = Array.from({ length: orders }, (_, i) => (seed + i) % 2 ** 32)
  if (take === 'ablate') return { ...common, seeds, budget: null, policy: null, taking: ablated(model, rows) }
  const { policy, budget } = compressionOf(model, options, texts, rows)
  if (store !== undefined && policy.native.choose)
    throw invalid('store', 'none beside a policy of your own, whose code may change', store, 'leave it out')
  const taking = compressed(model, { policy, budget, rows })
  return { ...common, seeds, budget, policy: String(policy), taking }
}

function measuresOf(measured: Measured, by: JudgeOptions['by'], take: Asked['take']): Asked['measures'] {
  const measures = Object.keys(measured.measures)
  const asked: unknown[] = by === undefined ? measures : typeof by === 'string' ? [by] : Array.isArray(by) ? by : []
  if (!asked.length) throw invalid('by', `names of measures (${measures.join(', ')})`, by)
  return Array.from(new Set(asked), (one) => {
    const name = checkedText('by', one)
    const { values, kvValues } = measured.of(name)
    if (name === RANDOM)
      throw new ZslabError(
        'invalid',
        `random orders are called ${RANDOM}, too: read the file under another name, Importance.from(path, { name })`,
      )
    const rows = take === 'ablate' ? values : kvValues
    rows.forEach((row, layer) => {
      const head = row.findIndex(Number.isNaN)
      if (head >= 0)
        throw new ZslabError(
          'invalid',
          `an order takes all heads, and ${name} has no value of ${take === 'ablate' ? 'head' : 'kv head'} ${head} of layer ${layer}: measure all heads, or leave ${name} out`,
        )
    })
    return { name, values: Float64Array.from(rows.flatMap((row) => Array.from(row))) }
  })
}

/** In ascending order; shares that come to the same number of heads once. */
function pointsOf(given: JudgeOptions['shares'], count: number): Asked['points'] {
  if (given !== undefined && (!Array.isArray(given) || !given.length))
    throw invalid('shares', 'an array of shares of heads, at least one', given)
  const shares = (given ?? SHARES).map((share: unknown, i) => {
    if (share === 0) throw invalid(`shares[${i}]`, 'a share above 0 and up to 1', share)
    return number(`shares[${i}]`, share, 0, 1, 'above 0 and up to 1')
  })
  const taken = new Set(shares.map((share) => Math.max(1, Math.round(share * count))))
  return Array.from(taken)
    .sort((a, b) => a - b)
    .map((heads) => ({ taken: heads, share: heads / count }))
}

function checkLengths(texts: readonly Int32Array[], take: Asked['take'], rows: number): void {
  const least = take === 'ablate' ? 2 : rows + 1
  const needs = take === 'ablate' ? 'a prediction has a next token' : `the last ${rows} are read after the prompt`
  texts.forEach(({ length }, i) => {
    if (length < least)
      throw new ZslabError(
        'invalid',
        `text ${i} has ${length} token${length === 1 ? '' : 's'} to be read, and at least ${least} are needed, since ${needs}: give longer texts or more tokens${take === 'compress' ? ', or fewer rows' : ''}`,
      )
  })
}

function compressionOf(model: LoadedModel, options: JudgeOptions, texts: readonly Int32Array[], rows: number) {
  const policy = options.policy === undefined ? policyNamed('zsmerge') : policyOf(options.policy)
  if (policy.alters)
    throw invalid(
      'policy',
      'one that leaves heads with room for everything as they are',
      policy.name,
      'it changes what stays, too: give the policy that it wraps',
    )
  const budget = options.budget === undefined ? policy.native.budget : shareOrCount('budget', options.budget)
  if (budget === 0)
    throw invalid('budget', 'a share above 0 or a count of slots', budget, "to give nothing, take: 'ablate'")
  // Whether the policy takes budgets that differ by head.
  const budgets = budgetsWith(model, [0], budget, texts[0].length)
  Reading.create(model, { policy, budgets, storage: STORAGE }).dispose()
  texts.forEach(({ length }, i) => {
    const prompt = length - rows
    const slots = resolve(policy, prompt, budget).budget
    if (slots >= length)
      throw invalid(
        'budget',
        `fewer slots than the ${length} tokens of text ${i}`,
        options.budget ?? budget,
        'with so many nothing leaves',
      )
  })
  return { policy, budget }
}
