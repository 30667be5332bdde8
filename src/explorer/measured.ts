/** Measures of heads as the explorer's document holds them. */
import { ZslabError } from '../errors.js'
import { invalid } from '../expect.js'
import type { HeadMeasures } from '../figures/head-measures.js'
import type { ExplorerMeasures } from './data.js'

/** Significant digits of a value: a shade shows fewer. */
const DIGITS = 4

/** Errors: 'invalid' for anything but what headImportance() finds, and for a model of another shape than the runs'. */
export function measuredOf(
  importance: unknown,
  shapes: readonly { layers: number; kvHeads: number }[],
): ExplorerMeasures | undefined {
  if (importance === undefined) return undefined
  const { layers, heads, kvHeads, measures } = (importance ?? {}) as Partial<HeadMeasures>
  if (!(layers && heads && kvHeads && measures && Object.keys(measures).length))
    throw invalid('importance', 'what headImportance() found', importance)
  for (const shape of shapes)
    if (shape.layers !== layers || shape.kvHeads !== kvHeads)
      throw new ZslabError(
        'invalid',
        `the importance is of a model with ${layers} layers of ${kvHeads} kv heads, and the run's has ${shape.layers} of ${shape.kvHeads}: measure the heads of the run's own model`,
      )
  const rounded = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : null)
  return {
    heads,
    measures: Object.values(measures).map(({ name, unit, kv, values }) => ({
      name,
      unit,
      kv,
      values: values.flatMap((row) => Array.from(row, rounded)),
    })),
  }
}
