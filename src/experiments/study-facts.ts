/** What a study is made of: what sweep() was asked for, and what came of that before anything runs. */
import type { LoadedModel } from '../loaded-model.js'
import type { Design } from './designs.js'
import type { Over } from './dimensions.js'
import type { Setting } from './settings.js'
import type { Task } from './task.js'
import type { Tried } from './tried.js'

/** What sweep() was asked for, checked. */
export interface StudyFacts {
  task: Pick<Task, 'name' | 'about' | 'options' | 'measure'>
  policies: readonly string[]
  base: Readonly<Record<string, unknown>>
  over: Over
  design: Design
  seeds: readonly number[]
  /** Share of the clusters that settings are chosen on, the others confirm; null: all clusters are one. */
  split: number | null
}

export interface StudyParts {
  model: LoadedModel
  task: Task
  settings: readonly Setting[]
  tried: Tried
  folder: string | undefined
  facts: StudyFacts
}
