/** Timing: how long policies take to read an excerpt, and to go on after it. */
import { madeBy, Recipe } from '../../recipe/recipe.js'
import { integer, oneOf, options as checked } from '../../expect.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import type { Task } from '../task.js'
import { EXCERPTS, excerpts, type ExcerptsOptions } from './excerpts.js'

export interface TimingOptions extends ExcerptsOptions {
  /** Tokens that are written after the excerpt; default 32. */
  steps?: number
  /** How keys and values are kept; default 'float16'. */
  storage?: Storage
}

/**
 * Whatever else the machine does meanwhile is in it: with nothing beside it, and one process. measureCost() takes a step apart. Errors: 'invalid' naming the option;
 * by prompts() where a text is shorter than the excerpt, or it and the steps longer than the context.
 */
export function timing(options: TimingOptions = {}): Task {
  checked('timing', options, [...EXCERPTS, 'steps', 'storage'])
  const steps = options.steps === undefined ? 32 : integer('steps', options.steps, 3)
  const storage = options.storage === undefined ? 'float16' : oneOf('storage', options.storage, STORAGES)
  const { tokens, prompts } = excerpts(options, 1, steps)
  return madeBy(
    {
      name: 'timing',
      about: `excerpts of ${tokens} tokens are read and ${steps} tokens written, by each policy alone`,
      options: { tokens },
      measure: { kind: 'times', steps, storage },
      prompts: async (model, seed) => prompts(model, seed),
    },
    Recipe.of('timing', [options]),
  )
}
