/** sweep(): what a study is made of, checked. */
import { integer, invalid, number, object, options as checked } from '../expect.js'
import { ZslabError } from '../errors.js'
import { usable, type LoadedModel } from '../loaded-model.js'
import { designOf, halvingIn, type Design } from './designs.js'
import { dimensionsOf, written, type Over } from './dimensions.js'
import { settingsOf, type PolicyMaker } from './settings.js'
import { storeFolder } from './store.js'
import { Study } from './study.js'
import type { Task } from './task.js'
import { hashOfStudy } from './hash.js'
import { madeBy, Place, Recipe } from '../recipe/recipe.js'

export interface SweepOptions {
  model: LoadedModel
  /** languageModelling({ … }) */
  task: Task
  /** A policy function, such as zsmerge or (options) => evictOnly({ of: zsmerge(options) }), or several, which are then a dimension. */
  policy: PolicyMaker | readonly PolicyMaker[]
  /**
   * Any options with the levels of each, as an array, or by name where they are no numbers or words: { of: { snapkv: snapkv(), tova: tova() } }; effects are relative to
   * the first. Beside those of the policy there is budgets, by head, such as { even: 0.1, suggested: suggestBudgets({ … }).budgets }.
   */
  over?: Over
  /** Options that all settings have. */
  base?: Readonly<Record<string, unknown>>
  /** Default 'grid', all combinations. Ranges ({ from, to }) want { latinHypercube: { runs: 32 } }. */
  design?: Design
  /** So many, 1 to n, or these; each draws prompts of its own, and what policies draw. Default 1. */
  seeds?: number | readonly number[]
  /** Share of the clusters that settings are chosen on, such as 0.5; the others confirm (study.confirm()). Default: all are one. */
  split?: number
  /** A folder that keeps what is done. Without one it is in memory alone. */
  store?: string
}

const KNOWN = ['model', 'task', 'policy', 'over', 'base', 'design', 'seeds', 'split', 'store']

/** A study, of which nothing has run yet. Errors: 'invalid' naming the option, or the setting that a policy refuses. */
export function sweep(options: SweepOptions): Study {
  checked('sweep', options, KNOWN)
  const model = usable(options.model)
  const task = taskOf(options.task)
  const makers = makersOf(options.policy)
  const over = dimensionsOf(options.over ?? {})
  const base = object('base', options.base ?? {}) as Record<string, unknown>
  const both = Object.keys(base).find((name) => name in over)
  if (both !== undefined) throw new ZslabError('invalid', `${both} is in both base and over: leave it out of base`)
  const design = designOf(options.design ?? 'grid')
  if (halvingIn(design) && options.split === undefined)
    throw invalid(
      'split',
      'a share of the clusters, such as 0.5, beside halving',
      undefined,
      'it chooses by what it measures, so what it chose is confirmed on other clusters',
    )
  const { tried, settings } = settingsOf({ model, makers, base, over, design })
  const policies = [...new Set(settings.map(({ policy }) => policy(1).name))]
  const study = new Study({
    model,
    task,
    settings,
    tried,
    folder: storeFolder(options.store),
    facts: {
      task: { name: task.name, about: task.about, options: task.options, measure: task.measure },
      policies,
      base,
      over: written(over),
      design,
      seeds: seedsOf(options.seeds),
      split: options.split === undefined ? null : number('split', options.split, 0.1, 0.9),
    },
  })
  const store = study.store === undefined ? {} : { store: new Place(study.store) }
  const given = { ...options, ...store }
  return madeBy(study, () =>
    Recipe.of('sweep', [given], { then: [{ call: 'run', given: [] }], sha256: hashOfStudy(study) }),
  )
}

function taskOf(task: unknown): Task {
  const { name, about, prompts } = (task ?? {}) as Partial<Task>
  if ([name, about].every((one) => typeof one === 'string') && typeof prompts === 'function') return task as Task
  throw invalid(
    'task',
    'a task such as languageModelling(), or an own one',
    task,
    'it has name, about, options, measure and prompts()',
  )
}

function makersOf(policy: unknown): PolicyMaker[] {
  const makers = Array.isArray(policy) ? (policy as unknown[]) : [policy]
  if (makers.length && makers.every((one) => typeof one === 'function')) return makers as PolicyMaker[]
  throw invalid(
    'policy',
    'a policy function such as zsmerge, or an array of them',
    policy,
    'its options go into base and over',
  )
}

function seedsOf(seeds: number | readonly number[] | undefined): number[] {
  if (seeds === undefined) return [1]
  if (typeof seeds === 'number') return Array.from({ length: integer('seeds', seeds, 1, 10_000) }, (_, i) => i + 1)
  if (!Array.isArray(seeds) || !seeds.length) throw invalid('seeds', 'how many, or an array of seeds', seeds)
  const all = seeds.map((seed, i) => integer(`seeds[${i}]`, seed, 0, 2 ** 32 - 1))
  const twice = all.find((seed, i) => all.indexOf(seed) !== i)
  if (twice !== undefined) throw invalid('seeds', 'each seed once', twice)
  return all
}
