/** What roofline() predicts, as an object that shows itself. */
import { Tabular } from '../inspect/tabular.js'
import { rooflineText } from '../show/roofline-text.js'
import { showsItself } from '../show/show.js'
import type { TraceCell } from '../trace/columns.js'
import type { Storage } from '../native/engine.js'
import type { WeightsType } from './bytes.js'
import type { Device } from './devices.js'
import type { BreakEven, PredictedCache, Ratios } from './predict.js'
import type { Scaled } from './scaling.js'
import type { Cluster } from './several.js'
import type { ModelShape } from './shapes.js'

export const LABEL = 'predicted, not measured'

export interface RooflineFacts {
  model: ModelShape & { parameters: number }
  context: number
  batch: number
  weights: WeightsType
  storage: Storage
  /** The call that makes the policy. */
  policy: string
  device: Device
  cluster: Cluster
  /** Microseconds that upkeep takes in a layer beside its bytes, in breakEven alone. */
  latency: number
}

/** Tokens a second at most, by context; null: the policy takes no budget so small. */
export interface RooflineCurve {
  context: number[]
  full: number[]
  compressed: (number | null)[]
  /** Where upkeep takes `latency` beside its bytes. */
  compressedWithLatency: (number | null)[]
}

export class Roofline extends Tabular {
  /** What all of its numbers are. */
  readonly label = LABEL

  /** @internal */
  constructor(
    readonly facts: RooflineFacts,
    readonly full: PredictedCache,
    readonly compressed: PredictedCache,
    /** Full over compressed. */
    readonly ratios: Ratios,
    readonly breakEven: readonly BreakEven[],
    readonly curve: RooflineCurve,
    /** The same on other numbers of devices; undefined: one device on one host. */
    readonly scaling: readonly Scaled[] | undefined,
    /** Microseconds to move a sequence's cache, and the weights, to another host; undefined: one host. */
    readonly moving: { full: number; compressed: number; weights: number } | undefined,
  ) {
    super()
  }

  /** A row for each cache and part of a step: bytes, least microseconds, their share of the step and what bounds them; then 'total'. */
  table(): Record<string, TraceCell[]> {
    const rows = (['full', 'compressed'] as const).flatMap((cache) => {
      const { parts, bytes, microseconds } = this[cache]
      const total = { part: 'total', bytes, microseconds, share: 1, bound: null }
      return [...parts, total].map((one) => ({ ...one, cache }))
    })
    return {
      cache: rows.map(({ cache }) => cache),
      context: rows.map(() => this.facts.context),
      batch: rows.map(() => this.facts.batch),
      slots: rows.map(({ cache }) => this[cache].slots),
      part: rows.map(({ part }) => part),
      bytes: rows.map(({ bytes }) => bytes),
      microseconds: rows.map(({ microseconds }) => microseconds),
      share: rows.map(({ share }) => share),
      bound: rows.map(({ bound }) => bound),
      label: rows.map(() => this.label),
    }
  }

  toJSON(): Record<string, unknown> {
    const { label, facts, full, compressed, ratios, breakEven, curve, scaling = null, moving = null } = this
    return {
      format: 'zslab.roofline',
      version: 1,
      label,
      ...facts,
      full,
      compressed,
      ratios,
      breakEven,
      curve,
      scaling,
      moving,
    }
  }
}

showsItself(Roofline.prototype, rooflineText)
