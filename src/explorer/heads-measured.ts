/** The document's measures of heads as the page asks for them: values, shades and places, of query heads and of kv heads. */
import { numberOr, plainNumber, shortNumber } from '../figures/scale.js'
import { placesOf, shadeScale, type ShadeScale } from '../figures/head-measures.js'
import { habitOf } from '../figures/habit.js'
import type { ExplorerMeasures } from './data.js'

export interface MeasuredBy {
  name: string
  unit: string
  kv: 'max' | 'mean' | 'own'
  scale: ShadeScale
  /** [layer * heads + head]; NaN: not measured. */
  values: Float64Array
  /** 1: the largest of all. */
  places: Float64Array
  /** Heads that were measured. */
  count: number
}

export interface PassportRow {
  name: string
  unit: string
  /** One value for the kv head, not for each query head. */
  own: boolean
  /** share: where it is from the least to the largest, 0 … 1. */
  heads: { value: string; place: string; share: number }[]
}

const KV_WORDS = { max: 'largest', mean: 'mean' }

export class HeadsMeasured {
  readonly names: readonly string[]
  /** Query heads of a kv head. */
  readonly group: number
  private readonly heads: number
  private readonly all: ReadonlyMap<string, MeasuredBy>

  constructor({ heads, measures }: ExplorerMeasures, kvHeads: number) {
    this.heads = heads
    this.group = heads / kvHeads
    this.all = new Map(
      measures.map(({ name, unit, kv, values }): [string, MeasuredBy] => {
        const known = Float64Array.from(values, (value) => value ?? NaN)
        const count = known.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : 1), 0)
        return [name, { name, unit, kv, values: known, places: placesOf(known), scale: shadeScale(known), count }]
      }),
    )
    this.names = [...this.all.keys()]
  }

  of(name: string): MeasuredBy | undefined {
    return this.all.get(name)
  }

  /** Where the query heads of a kv head are in `values`. */
  groupAt(layer: number, kvHead: number): number[] {
    return Array.from({ length: this.group }, (_, i) => layer * this.heads + kvHead * this.group + i)
  }

  /** 'ablation: 0.0012 nats in the largest of 3 query heads (0.0012, 0.0003, not measured)' */
  sentence(name: string, layer: number, kvHead: number): string {
    const { kv, unit, values } = this.all.get(name)!
    const own = this.groupAt(layer, kvHead).map((at) => values[at])
    const known = own.filter((value) => !Number.isNaN(value))
    if (!known.length) return `${name}: not measured`
    const one = kv === 'mean' ? known.reduce((sum, value) => sum + value, 0) / known.length : Math.max(...known)
    const value = `${name}: ${shortNumber(one)}${unitOf(unit)}`
    if (kv === 'own' || own.length === 1) return value
    return `${value}, the ${KV_WORDS[kv]} of its query heads (${own.map(numberOr).join(', ')})`
  }

  /** What stands before and behind the shades: 'ablation: 0.001', '0.42 nats, in equal factors; a stripe is a query head'. */
  scaleWords(name: string): [low: string, high: string] {
    const { scale, unit, kv } = this.all.get(name)!
    if (Number.isNaN(scale.low)) return [`${name}:`, 'no head was measured']
    const how = scale.logarithmic ? ', in equal factors' : ''
    const stripes = this.group > 1 && kv !== 'own' ? '; a stripe is a query head' : ''
    return [`${name}: ${shortNumber(scale.low)}`, `${shortNumber(scale.high)}${unitOf(unit)}${how}${stripes}`]
  }

  /** A row for each measure: of each query head, or of the kv head where it has one for all, the value and its place among all. */
  passport(layer: number, kvHead: number): PassportRow[] {
    return this.names.map((name) => {
      const { unit, kv, values, places, count, scale } = this.all.get(name)!
      const own = kv === 'own'
      const shared = own ? this.group : 1
      const all = this.groupAt(layer, kvHead)
      return {
        name,
        unit,
        own,
        heads: (own ? all.slice(0, 1) : all).map((at) => {
          if (Number.isNaN(values[at])) return { value: numberOr(NaN), place: '', share: 0 }
          const place = `${plainNumber((places[at] - 1) / shared + 1)} of ${plainNumber(count / shared)}`
          return { value: numberOr(values[at]), place, share: scale.at(values[at]) }
        }),
      }
    })
  }

  /** 'query head 9: sink, previous' for each of the group. */
  habits(layer: number, kvHead: number): string[] {
    return this.groupAt(layer, kvHead).map((at) => {
      const words = habitOf((measure) => this.all.get(measure)?.values[at])
      return `query head ${plainNumber(at % this.heads)}: ${words.join(', ') || 'no habit that these measures know'}`
    })
  }
}

const unitOf = (unit: string) => (unit === '1' ? '' : ` ${unit}`)
