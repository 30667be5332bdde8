/**
 * Successive halving (Jamieson and Talwalkar 2016): all settings are tried on few clusters, the worse ones dropped, the rest tried on more. It explores: what is left
 * was lucky, too, so it is tried beside the first setting on clusters that chose nothing.
 */
import { clusterMeans } from '../statistics/clusters.js'
import { meanOf } from '../statistics/moments.js'
import type { Planned } from './jobs.js'
import type { Halving, Levels } from './designs.js'
import type { Metric } from './measures/measuring.js'
import { valueOf, type Trial } from './trial.js'

/** Of settings with what they were ranked by; null: a trial of it failed, or changed nothing. */
export interface Ranked {
  levels: Levels
  mean: number | null
}

export interface Round {
  /** That its settings had been tried on by its end. */
  clusters: number
  /** The best first. */
  kept: readonly Ranked[]
  dropped: readonly Ranked[]
}

export interface Schedule {
  /** Those that are over. */
  rounds: readonly Round[]
  /** Place of the setting that is left in the design; null: none is, or the rounds are not over. */
  left: number | null
  /** What has to be done next, and all that there is to do at most; what is done already is among it. */
  next: readonly Planned[]
  all: readonly Planned[]
}

export interface Halved {
  settings: readonly Levels[]
  prompts: readonly Planned[]
  /** Clusters that choose, in the order in which they are taken. */
  explored: readonly string[]
  metric: Metric
  halving: Halving
  get(key: string): Trial | undefined
}

/** What follows from the trials that are there, and from nothing else. Where some are missing the first settings are taken to stay, which is as many trials as can be. */
export function scheduleOf(halved: Halved): Schedule {
  const { settings, prompts, explored, halving, get } = halved
  const wanted = prompts.map(
    ({ keys, trials }) => new Set(trials.flatMap(({ key }) => (keys.includes(key) ? [] : [key]))),
  )
  const want = (places: readonly number[], chosen: (cluster: string) => boolean) =>
    prompts.forEach(({ facts, keys }, i) => {
      if (chosen(facts.cluster)) for (const place of places) wanted[i].add(keys[place])
    })
  const planned = () =>
    prompts.map((one, i) => ({ ...one, trials: one.trials.filter(({ key }) => wanted[i].has(key)) }))
  const isMissing = () => wanted.some((keys) => [...keys].some((key) => !get(key)))
  const rounds: Round[] = []
  let next: Planned[] | undefined
  let alive = settings.map((_, i) => i)
  for (let clusters = halving.first; ; clusters = Math.ceil(clusters / halving.keep)) {
    const taken = explored.slice(0, clusters)
    want(alive, (cluster) => taken.includes(cluster))
    if (isMissing()) next ??= planned()
    const last = taken.length === explored.length
    const stay = last ? 1 : Math.ceil(halving.keep * alive.length)
    if (next) alive = alive.slice(0, stay)
    else {
      const ranked = rankedOf(halved, alive, taken)
      const kept = ranked.slice(0, stay).filter(({ mean }) => mean !== null)
      const told = ({ place, mean }: { place: number; mean: number | null }): Ranked => ({
        levels: settings[place],
        mean,
      })
      rounds.push({ clusters: taken.length, kept: kept.map(told), dropped: ranked.slice(kept.length).map(told) })
      alive = kept.map(({ place }) => place)
    }
    if (last || alive.length < 2) break
  }
  const left = next ? null : (alive[0] ?? null)
  const beside = next ? [0, 1].slice(0, settings.length) : left === null ? [] : [left, 0]
  want(beside, (cluster) => !explored.includes(cluster))
  if (isMissing()) next ??= planned()
  return { rounds, left, next: next ?? [], all: planned() }
}

/** The best first, those without a mean last; of equals in the design's order. */
function rankedOf({ prompts, metric, get }: Halved, places: readonly number[], clusters: readonly string[]) {
  const own = prompts.filter(({ facts }) => clusters.includes(facts.cluster))
  const names = own.map(({ facts }) => facts.cluster)
  const ranked = places.map((place) => {
    const trials = own.map(({ keys }) => get(keys[place])!)
    if (trials.some(({ values, unchanged }) => !values || unchanged)) return { place, mean: null, cost: Infinity }
    const mean = meanOf(
      clusterMeans(
        trials.map((trial) => valueOf(trial, metric.name)),
        names,
      ).means,
    )
    return { place, mean, cost: metric.better === 'less' ? mean : -mean }
  })
  return ranked.sort((a, b) => (a.cost === b.cost ? a.place - b.place : a.cost - b.cost))
}

/** Of a plan: how many settings are tried on how many clusters. */
export function halvingNote(settings: number, explored: number, { first, keep }: Halving): string {
  const rounds: string[] = []
  let alive = settings
  for (let clusters = first; ; clusters = Math.ceil(clusters / keep)) {
    const taken = Math.min(clusters, explored)
    rounds.push(`${alive} on ${taken}`)
    alive = taken === explored ? 1 : Math.ceil(keep * alive)
    if (alive < 2) break
  }
  return `at most, as settings are dropped: ${rounds.join(', ')} clusters; what is left was lucky there, so confirm() reports it on the others`
}
