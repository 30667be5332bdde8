/** What headImportance() is asked for: whatever can be told without a model is refused without one. */
import { callOptions, integer, invalid, number } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { CallOptions } from '../native/call.js'
import { policyOf, type Policy } from '../policies/index.js'
import type { CurveShares, Measure, Probe } from './measure.js'
import { HEAD_MEASURES, measuresOf, probesOf } from './measures.js'
import { folderOf } from './store.js'

export interface HeadImportanceOptions extends CallOptions {
  /** Names of measures; HEAD_MEASURES says what each is. */
  by: string | readonly string[]
  /** Only these query heads (default: all); the others are NaN. A measure of kv heads is taken of those that they read. */
  heads?: readonly { layer: number; head: number }[]
  /**
   * A folder where results are kept while they are made, and gone on from: of ablations, gates and budget curves each, of other measures those of
   * a whole text.
   */
  store?: string
  /** Tokens of a text, its first, that are read for ablations and gates: default 256. Other measures read all of it. */
  tokens?: number
  /** The last rows that count, of those tokens or, for measures under a policy, of the text: default 32. */
  rows?: number
  /**
   * Under which heads are measured by `retainedMass` and `outputError`, with its budget, and by `budgetCurve`, where its own budget does not
   * count; those need it.
   */
  policy?: Policy
  /** Of `budgetCurve`: kept shares of the prompt, above 0 and below 1; put in ascending order. Default 0.05, 0.1, 0.2, 0.4, 0.7. */
  shares?: readonly number[]
  /** Of `budgetCurve`: kept share of the heads that do not vary, above 0 and up to 1. Default 1: they keep everything. */
  others?: number
  /** Of random sequences (`echo` and its like) and needles: 0 to 2³² − 1, default 1; counted on by one for each sequence, each text. */
  seed?: number
  /** Random sequences; default 2. */
  sequences?: number
}

const OPTIONS = ['by', 'heads', 'store', 'tokens', 'rows', 'policy', 'shares', 'others', 'seed', 'sequences']

const SHARES = [0.05, 0.1, 0.2, 0.4, 0.7]

export interface Asked {
  measures: Measure[]
  probes: { probe: Probe; wanted: Measure[] }[]
  tokens: number
  rows: number
  seed: number
  sequences: number
  store: string | undefined
  policy: Policy | undefined
  curve: CurveShares
}

/** Errors: 'invalid' naming the option. */
export function askedOf(options: HeadImportanceOptions): Asked {
  callOptions('headImportance', options, OPTIONS)
  const measures = measuresOf(options?.by)
  const tokens = options.tokens === undefined ? 256 : integer('tokens', options.tokens, 2)
  const asked: Asked = {
    measures,
    probes: probesOf(measures),
    tokens,
    rows: options.rows === undefined ? 32 : integer('rows', options.rows, 2, tokens),
    seed: options.seed === undefined ? 1 : integer('seed', options.seed, 0, 2 ** 32 - 1),
    sequences: options.sequences === undefined ? 2 : integer('sequences', options.sequences, 1, 1000),
    store: options.store === undefined ? undefined : folderOf(options.store),
    policy: policyFor(measures, options.policy),
    curve: curveFor(measures, options),
  }
  if (asked.store !== undefined && asked.policy?.native.choose)
    throw invalid('store', 'none beside a policy of your own, whose code may change', asked.store, 'leave it out')
  return asked
}

/** Tokens of each text (undefined: not known), and the model's context where it is known. Errors: 'invalid' naming the text and the measure. */
export function checkLengths(
  lengths: readonly (number | undefined)[],
  { probes }: Pick<Asked, 'probes'>,
  context?: number,
): void {
  for (const { name, leastTokens, mostTokens } of probes.flatMap(({ probe, wanted }) => (probe.random ? [] : wanted)))
    lengths.forEach((length, i) => {
      if (length === undefined) return
      if (length < leastTokens)
        throw new ZslabError(
          'invalid',
          `text ${i} has ${length} token${length === 1 ? '' : 's'}, ${leastTokens - length} too few for ${name}, which needs at least ${leastTokens}: give a longer text, or leave ${name} out`,
        )
      const most = context === undefined ? length : (mostTokens?.(context) ?? length)
      if (length > most)
        throw new ZslabError(
          'invalid',
          `text ${i} has ${length} tokens, ${length - most} too many for ${name}, which can read at most ${most} in the model's context of ${context}: give a shorter text, or leave ${name} out`,
        )
    })
}

/** Errors: 'invalid' where a measure needs one and there is none, or none does. */
function policyFor(measures: readonly Measure[], given: unknown): Policy | undefined {
  const needing = measures.find(({ needs }) => needs === 'policy')
  if (given === undefined) {
    if (!needing) return undefined
    throw new ZslabError(
      'invalid',
      `${needing.name} is measured under a policy: give one, policy: zsmerge({ budget: 0.2 }), or leave ${needing.name} out`,
    )
  }
  if (!needing) {
    const names = HEAD_MEASURES.flatMap(({ name, needs }) => (needs === 'policy' ? [name] : []))
    throw invalid(
      'policy',
      'none, as no measure in `by` depends on it',
      given,
      `leave it out, or add ${names.join(' or ')}`,
    )
  }
  return policyOf(given)
}

/** Errors: 'invalid' naming the option, and where no curve was asked for. */
function curveFor(measures: readonly Measure[], options: HeadImportanceOptions): CurveShares {
  for (const name of ['shares', 'others'] as const)
    if (options[name] !== undefined && !measures.some((measure) => measure.name === 'budgetCurve'))
      throw invalid(name, 'none without budgetCurve in `by`', options[name], 'leave it out, or add budgetCurve')
  const share = (name: string, value: unknown, most: 'below 1' | 'up to 1') => {
    const found = number(name, value, 0, 1, `above 0 and ${most}`)
    if (found === 0 || (found === 1 && most === 'below 1')) throw invalid(name, `a share above 0 and ${most}`, found)
    return found
  }
  const { shares = SHARES, others } = options
  if (!Array.isArray(shares) || !shares.length)
    throw invalid('shares', 'an array of kept shares of the prompt, at least one', shares)
  const each = (shares as readonly number[]).map((one, i) => share(`shares[${i}]`, one, 'below 1'))
  return {
    shares: Array.from(new Set(each)).sort((a, b) => a - b),
    others: others === undefined ? 1 : share('others', others, 'up to 1'),
  }
}
