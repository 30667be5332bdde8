/** Studies over the same prompts as one: which of them a row is of is a dimension, so that all that is asked of a study may be asked of them together. */
import { isDeepStrictEqual } from 'node:util'
import { invalid, object } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { mergedText } from '../show/study-text.js'
import { showsItself } from '../show/show.js'
import type { EngineCard } from '../trace/card.js'
import type { Level, Levels } from './designs.js'
import { POLICY } from './dimensions.js'
import type { Measuring, Metric } from './measures/measuring.js'
import { Results } from './results.js'
import type { Row } from './rows.js'
import { Study } from './study.js'
import type { StudyFacts } from './study-facts.js'
import type { Tried } from './tried.js'

/** What rows of several studies are told apart by. */
const STUDY = 'study'

interface MergedParts {
  studies: Readonly<Record<string, Study>>
  tried: Tried
  rows: readonly Row[]
  /** Prompts that all have. */
  common: number
}

export class Merged extends Results {
  /** @internal */
  constructor(private readonly parts: MergedParts) {
    super()
  }

  private get first(): Study {
    return Object.values(this.parts.studies)[0]
  }

  get rows(): readonly Row[] {
    return this.parts.rows
  }

  /** What each study was asked for, and how many prompts all of them have. */
  get facts(): { task: StudyFacts['task']; studies: Readonly<Record<string, StudyFacts>>; common: number } {
    const { studies, common } = this.parts
    const each = Object.entries(studies).map(([name, { facts }]) => [name, facts] as const)
    return { task: this.first.facts.task, studies: Object.fromEntries(each), common }
  }

  get cards(): readonly EngineCard[] {
    return Object.values(this.parts.studies).flatMap(({ cards }) => cards)
  }

  get metrics(): readonly Metric[] {
    return this.first.metrics
  }

  /** @internal */
  get able(): Measuring['able'] {
    return this.first.able
  }

  /** @internal */
  get tried(): Tried {
    return this.parts.tried
  }

  toJSON(): Record<string, unknown> {
    const { facts, metrics, cards, rows } = this
    return { format: 'zslab.mergedStudies', version: 1, ...facts, metrics, cards, rows }
  }
}

showsItself(Merged.prototype, mergedText)

/**
 * Studies that have run, by the names that the dimension `study` then has: mergeStudies({ published, tuned }).compare({ study: 'tuned' }, { study:
 * 'published' }). Prompts are paired where they are the same token by token, with the same seed. Dimensions are those of all: where a study does not vary
 * one, its rows have what its policy was given or has by default, null where it has no such option. Errors: 'invalid' where tasks, measures or models differ
 * (said which), where no prompt is in all of them, for a study over ranges, and as of study.rows.
 */
export function mergeStudies(studies: Readonly<Record<string, Study>>): Merged {
  const entries = Object.entries(object('studies', studies)) as [string, unknown][]
  if (entries.length < 2) throw invalid('studies', 'at least two, by name: { published, tuned }', Object.keys(studies))
  for (const [name, study] of entries) if (!(study instanceof Study)) throw invalid(`studies.${name}`, 'a study', study)
  const all = entries as [string, Study][]
  const rows = all.map(([, study]) => study.rows)
  const [[firstName, first]] = all
  for (const [name, study] of all.slice(1)) checkLike([firstName, first], [name, study])
  const range = all.find(([, { tried }]) => Object.values(tried.varied).some((one) => one.range))
  if (range)
    throw new ZslabError(
      'invalid',
      `${range[0]} is a study over ranges, whose settings no other has: ask its effects() by themselves`,
    )
  const dimensions = [...new Set(all.flatMap(([, { tried }]) => Object.keys(tried.varied)))]
  if (dimensions.includes(STUDY)) throw invalid('studies', `studies without a dimension called ${STUDY}`, dimensions)
  const paired = pairedPrompts(all.map(([name], i) => ({ name, rows: rows[i] })))
  if (!paired.common)
    throw new ZslabError(
      'invalid',
      `${all.map(([name]) => name).join(' and ')} have no prompt in common: they are the same where the text, its tokens, the question and the seed are`,
    )
  const merged = all.flatMap(([name, study], i) => {
    const levels = levelsOf(name, study, dimensions)
    return rows[i].map((row, at): Row => ({
      levels: levels(row),
      trial: { ...row.trial, prompt: paired.prompts[i][at] },
    }))
  })
  const settings = distinct(merged.map(({ levels }) => levels))
  const levels = [STUDY, ...dimensions].map(
    (name) => [name, { levels: [...new Set(settings.map((of) => of[name]))] }] as const,
  )
  const tried = { design: 'grid', varied: Object.fromEntries(levels), settings } as const
  return new Merged({ studies, tried, rows: merged, common: paired.common })
}

/** Errors: 'invalid' naming what of two studies is not the same. */
function checkLike([a, one]: [string, Study], [b, other]: [string, Study]): void {
  const sides = [one, other].map(({ facts, cards: [card] }) => ({
    task: facts.task.name,
    'how it is measured': facts.task.measure,
    model: card.model,
  }))
  for (const [what, mine] of Object.entries(sides[0])) {
    const theirs = sides[1][what as keyof (typeof sides)[1]]
    const [left, right] = what === 'model' ? sides.map(({ model }) => model.sha256) : [mine, theirs]
    if (isDeepStrictEqual(left, right)) continue
    const words = (of: unknown) => (typeof of === 'string' ? of : JSON.stringify(of))
    const said =
      what === 'model'
        ? sides.map(({ model }) => `${model.name} (sha256 ${model.sha256.slice(0, 12)}…)`)
        : [mine, theirs].map(words)
    throw new ZslabError(
      'invalid',
      `${shown(a)} and ${shown(b)} cannot be merged: ${what} differs, ${said.join(' and ')}`,
    )
  }
}

/** A row's levels in all dimensions: what its study varies, and of the rest what its policy has. */
function levelsOf(
  name: string,
  { settings, facts: { seeds } }: Study,
  dimensions: readonly string[],
): (row: Row) => Levels {
  const made = new Map<Levels, Levels>()
  for (const { levels, policy } of settings) {
    const { name: own, options } = policy(seeds[0])
    const of = (dimension: string): Level => {
      if (dimension in levels) return levels[dimension]
      const level = dimension === POLICY ? own : options[dimension]
      return ['string', 'number', 'boolean'].includes(typeof level) ? (level as Level) : null
    }
    made.set(levels, Object.fromEntries([[STUDY, name], ...dimensions.map((one) => [one, of(one)])]) as Levels)
  }
  return ({ levels }) => made.get(levels)!
}

/** Each once, in the order in which they come. */
const distinct = (settings: readonly Levels[]): Levels[] => [
  ...new Map(settings.map((one) => [JSON.stringify(one), one])).values(),
]

/**
 * Of each row the prompt that it stands for: the same text has the name and cluster that the first study gave it, and one that another study called the same
 * gets that study's name behind its own. `common`: those that all studies have.
 */
function pairedPrompts(studies: readonly { name: string; rows: readonly Row[] }[]) {
  const known = new Map<string, { prompt: Row['trial']['prompt']; in: number }>()
  const taken = new Set<string>()
  const prompts = studies.map(({ name: study, rows }) => {
    const before = new Set(taken)
    const own = new Map<string, Row['trial']['prompt']>()
    const times = new Map<string, number>()
    return rows.map(({ trial: { prompt } }) => {
      const place = JSON.stringify([prompt.name, prompt.seed])
      const found = own.get(place)
      if (found) return found
      // A text may be there twice.
      const text = JSON.stringify([prompt.sha256, prompt.seed])
      const time = times.get(text) ?? 0
      times.set(text, time + 1)
      const key = `${text} ${time}`
      const same = known.get(key)
      const made = same ? same.prompt : before.has(place) ? { ...prompt, name: `${prompt.name} (${study})` } : prompt
      known.set(key, { prompt: made, in: (same?.in ?? 0) + 1 })
      own.set(place, made)
      taken.add(place)
      return made
    })
  })
  return { prompts, common: [...known.values()].filter((one) => one.in === studies.length).length }
}
