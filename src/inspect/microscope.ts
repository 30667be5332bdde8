/** Compensation of a run under the microscope: what its heads were given and read, handed to the measures. */
import { ZslabError } from '../errors.js'
import { integer, invalid, oneOf, options } from '../expect.js'
import type { Call } from '../native/call.js'
import type { EventColumns } from '../native/binding.js'
import type { Card } from '../trace/card.js'
import { alphaOf, type RunToken } from '../trace/data.js'
import { seedOf, seedsOf } from '../trace/lineage.js'
import { rowsByHead } from '../trace/rebuild.js'
import { headsOf as headsIn, notRecorded, type Recorded } from '../trace/recorded.js'
import { mergesOf } from '../trace/shares.js'
import { headAblation, type HeadAblation } from './ablation.js'
import { BOOTSTRAP_OPTIONS, bootstrapOf, type BootstrapOptions } from './bootstrap.js'
import { Breaks } from './breaks.js'
import { headCompensation } from './compensation.js'
import { Compensation, CompensationAblation, Oracles } from './compensation-tables.js'
import type { Centroid, SlotsRead } from './head.js'
import { headOracles, judgedOf, type HeadOracles, type OracleOptions } from './oracles.js'
import type { HeadRead } from './reads.js'
import type { HeadOf, HeadVectors } from './vectors.js'
import { whatIf, type WhatIf } from './what-if.js'

/** A run as this needs it. */
export interface Measured {
  card: Card
  layers: number
  kvHeads: number
  promptTokens: number
  events: EventColumns
  tokens: readonly RunToken[]
  recorded: Recorded
  vectors(of: HeadOf): HeadVectors
  reads(of: HeadOf): readonly HeadRead[]
}

export interface RunCompensationOptions extends HeadOf, BootstrapOptions {
  /** Rows of slots that stand for several tokens, or of all. Default 'merged'. */
  slots?: 'merged' | 'all'
}

/** Whose; default: all whose vectors were kept. */
export interface HeadsOf {
  layers?: readonly number[]
  kvHeads?: readonly number[]
}

export interface AblationOptions extends HeadsOf, BootstrapOptions {}

export type OraclesOptions = HeadsOf & Pick<OracleOptions, 'judged' | 'equations' | 'ridge'>

export function compensation(run: Measured, given: RunCompensationOptions): Compensation {
  options('compensation', given, ['layer', 'kvHead', 'slots', ...BOOTSTRAP_OPTIONS])
  if (given.slots !== undefined) oneOf('slots', given.slots, ['merged', 'all'])
  const { layer, kvHead, ...others } = given
  const how = mergingOf(run)
  const reads = readsOf(run, { layer, kvHead })
  return new Compensation(headCompensation(run.vectors({ layer, kvHead }), reads, { ...others, ...how }), run)
}

export async function compensationAblation(
  run: Measured,
  given: AblationOptions,
  call: Call,
): Promise<CompensationAblation> {
  const how = mergingOf(run)
  const asked = headsOf(run, given)
  const { seed, resamples, block } = given
  // One seed for all, so that steps are drawn alike.
  const drawn = bootstrapOf({ seed, resamples, block }, Infinity).seed
  const heads: HeadAblation[] = []
  for (const of of asked) {
    heads.push(headAblation(run.vectors(of), readsOf(run, of), { ...how, seed: drawn, resamples, block }))
    await told(call, heads.length, asked.length)
  }
  return new CompensationAblation(heads, run)
}

export async function oracles(run: Measured, given: OraclesOptions, call: Call): Promise<Oracles> {
  const how = mergingOf(run)
  const asked = headsOf(run, given)
  const { judged, equations, ridge } = given
  const fit = { ...how, promptTokens: run.promptTokens, judged, equations, ridge }
  const breaks = new Breaks(call.signal)
  const heads: HeadOracles[] = []
  let [done, total] = [0, 0]
  for (const of of asked) {
    const reads = readsOf(run, of)
    total ||= asked.length * judgedOf(fit, reads.length)
    const fitted = () => call.progress?.({ done: ++done, total })
    heads.push(await headOracles(run.vectors(of), reads, fit, breaks, fitted))
  }
  return new Oracles(heads, run)
}

export function whatIfOf(run: Measured, given: HeadOf & { step: number }): WhatIf {
  options('whatIf', given, ['layer', 'kvHead', 'step'])
  const { layer, kvHead } = given
  const reads = readsOf(run, { layer, kvHead })
  const step = integer('step', given.step, 1, reads.length)
  return whatIf(run.vectors({ layer, kvHead }), reads[step - 1], mergingOf(run))
}

/** Lets others run between heads. */
async function told({ signal, progress }: Call, done: number, total: number): Promise<void> {
  await progress?.({ done, total })
  await new Promise((resolve) => setImmediate(resolve))
  signal?.throwIfAborted()
}

/** How the run merged. A policy that merges nothing has slots of one token, whatever α. */
function mergingOf({ card }: Measured): { alpha: number; keys: Centroid; values: Centroid } {
  const how = mergesOf(card.policy) ?? { aggregate: 'mean', keys: 'mean', values: 'mean' }
  if (how.aggregate !== 'mean')
    throw new ZslabError(
      'unsupported',
      `compensation is measured on slots that are means of their members or keep their seed's key and value, but this run merged with aggregate: '${how.aggregate}': run zsmerge with aggregate: 'mean'`,
    )
  return { alpha: alphaAt(card, 0), keys: how.keys, values: how.values }
}

/** α of the queries of `step`. */
function alphaAt({ policy, interventions = [] }: Card, step: number): number {
  let alpha = alphaOf(policy) ?? 0
  for (const one of interventions)
    if (one.action === 'options' && one.step < step && typeof one.changes.alpha?.to === 'number')
      alpha = one.changes.alpha.to
  return alpha
}

/** With whose key and value each slot began, and α where it changed. */
function readsOf(run: Measured, of: HeadOf): SlotsRead[] {
  const reads = run.reads(of)
  const rows = rowsByHead(run.events, run.layers, run.kvHeads)[of.layer * run.kvHeads + of.kvHead]
  const seeds = seedsOf(run.events, rows)
  return reads.map(({ slots, ...read }) => ({
    ...read,
    alpha: alphaAt(run.card, read.step),
    slots: slots.map(({ slot, origins }) => ({ slot, origins, seed: seedOf(seeds, origins) })),
  }))
}

/** Those whose vectors were kept that are asked for. Errors: 'invalid' for one that there is none of, or that was not kept. */
function headsOf({ recorded, layers, kvHeads }: Measured, given: HeadsOf): HeadOf[] {
  const chosen = (name: 'layers' | 'kvHeads', count: number): Set<number> | undefined => {
    const list = given[name]
    if (list === undefined) return undefined
    if (!Array.isArray(list) || !list.length) throw invalid(name, `an array of whole numbers below ${count}`, list)
    return new Set(list.map((one) => integer(name, one, 0, count - 1)))
  }
  const [ofLayers, ofHeads] = [chosen('layers', layers), chosen('kvHeads', kvHeads)]
  const found = headsIn(recorded.vectors, kvHeads).filter(
    ({ layer, kvHead }) => (ofLayers?.has(layer) ?? true) && (ofHeads?.has(kvHead) ?? true),
  )
  for (const layer of ofLayers ?? [])
    if (!found.some((head) => head.layer === layer)) throw notRecorded('vectors', { layer }, recorded)
  for (const kvHead of ofHeads ?? [])
    if (!found.some((head) => head.kvHead === kvHead)) throw notRecorded('vectors', { kvHead }, recorded)
  if (!found.length) throw notRecorded('vectors', {}, recorded)
  return found
}
