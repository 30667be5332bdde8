/** What is measured several times in one text, task or book counts once: means of clusters, and how small an effect so many of them can show. */
import { finiteNumbers, invalid, number } from '../expect.js'
import { student } from './intervals.js'
import { meanOf } from './moments.js'

/** Of each cluster, in order of first appearance, its name and the mean of its values: every cluster counts the same, however long. */
export interface ClusterMeans {
  names: string[]
  means: Float64Array
  /** Values of each. */
  sizes: Int32Array
}

/** Errors: 'invalid' where lengths differ, or a value is no finite number. */
export function clusterMeans(values: ArrayLike<number>, clusters: ArrayLike<string>): ClusterMeans {
  if (values.length !== clusters.length)
    throw invalid('clusters', `${values.length} names, one for each value`, `${clusters.length} of them`)
  const groups = new Map<string, number[]>()
  finiteNumbers('values', values, 'name').forEach((value, i) => {
    const group = groups.get(clusters[i])
    if (group) group.push(value)
    else groups.set(clusters[i], [value])
  })
  const all = [...groups.values()]
  return {
    names: [...groups.keys()],
    means: Float64Array.from(all, (group) => meanOf(group)),
    sizes: Int32Array.from(all, (group) => group.length),
  }
}

/**
 * The smallest difference that a two-sided Student test at `level` over `clusters` finds with the chance `power`, where cluster means vary by `spread`
 * (standard deviation): (t of the level + t of the power) · spread / √clusters, as usual for planning (Cohen 1988). Infinity below two clusters.
 */
export function smallestEffect(
  clusters: number,
  spread: number,
  { level = 0.95, power = 0.8 }: { level?: number; power?: number } = {},
): number {
  number('level', level, 0.5, 0.9999)
  number('power', power, 0.5, 0.9999)
  if (clusters < 2) return Infinity
  return ((student((1 + level) / 2, clusters - 1) + student(power, clusters - 1)) * spread) / Math.sqrt(clusters)
}
