/** The list of all measures, and which probe makes each. */
import { invalid } from '../expect.js'
import { ZslabError, shown } from '../errors.js'
import { measuresText, measureText } from '../show/importance-text.js'
import { showsItself } from '../show/show.js'
import { ablation } from './ablation.js'
import { budgetCurve } from './budget-curve.js'
import { compressedHeads } from './compressed.js'
import { distances } from './distances.js'
import { duo } from './duo.js'
import { kvzip } from './kvzip.js'
import type { Measure, Probe } from './measure.js'
import { repeated } from './repeated.js'
import { retrieval } from './retrieval.js'
import { statistics } from './statistics.js'

const PROBES: readonly (() => Probe)[] = [
  ablation,
  statistics,
  distances,
  repeated,
  kvzip,
  duo,
  retrieval,
  compressedHeads,
  budgetCurve,
]

/** What each is: name, formula, unit, range, source, what public code does otherwise, how it becomes a measure of kv heads. */
export const HEAD_MEASURES: readonly Measure[] = showsItself(
  PROBES.flatMap((make) => make().measures).map((measure) => showsItself({ ...measure }, measureText)),
  measuresText,
)

const NAMES = HEAD_MEASURES.map(({ name }) => name)

/** Names of measures, each once, as they were asked for. Errors: 'invalid', with the list. */
export function measuresOf(by: unknown): Measure[] {
  const asked: unknown[] = typeof by === 'string' ? [by] : Array.isArray(by) ? by : []
  if (!asked.length) throw invalid('by', `names of measures (${NAMES.join(', ')})`, by)
  return Array.from(new Set(asked), (name) => {
    const found = HEAD_MEASURES.find((measure) => measure.name === name)
    if (!found)
      throw new ZslabError(
        'invalid',
        `there is no measure of heads called ${shown(name)}; there are: ${NAMES.join(', ')}`,
      )
    return found
  })
}

/** The probes of `measures`, each with those of its own that are wanted. */
export function probesOf(measures: readonly Measure[]): { probe: Probe; wanted: Measure[] }[] {
  return PROBES.map((make) => make())
    .map((probe) => ({
      probe,
      wanted: probe.measures.filter(({ name }) => measures.some((each) => each.name === name)),
    }))
    .filter(({ wanted }) => wanted.length > 0)
}
