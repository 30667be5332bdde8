/** Language modelling: an excerpt is read, and its last tokens are predicted one by one; what a policy loses there, beside the full cache. */
import { flag, integer, oneOf, options as checked } from '../../expect.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import { madeBy, Recipe } from '../../recipe/recipe.js'
import type { Task } from '../task.js'
import { EXCERPTS, excerpts, type ExcerptsOptions } from './excerpts.js'

export interface LanguageModellingOptions extends ExcerptsOptions {
  /** The last so many tokens of an excerpt are predicted one by one, as generating does; default 64. */
  rows?: number
  /** How keys and values are kept; default 'float16'. */
  storage?: Storage
  /** Measures the heads' output error, too, which takes longer; default false. Trials of policies that change keys or values as they come then fail. */
  outputError?: boolean
}

/** Errors: 'invalid' naming the option; by prompts() where a text is shorter than the excerpt, or the excerpt longer than the context. */
export function languageModelling(options: LanguageModellingOptions = {}): Task {
  checked('languageModelling', options, [...EXCERPTS, 'rows', 'storage', 'outputError'])
  const { tokens, prompts } = excerpts(options, 3)
  const rows = options.rows === undefined ? Math.min(64, tokens - 1) : integer('rows', options.rows, 2, tokens - 1)
  const storage = options.storage === undefined ? 'float16' : oneOf('storage', options.storage, STORAGES)
  const outputError = options.outputError === undefined ? false : flag('outputError', options.outputError)
  return madeBy(
    {
      name: 'language modelling',
      about: `the last ${rows} tokens of excerpts of ${tokens}, one by one after the others were read as a prompt; the same tokens under the full cache are what they are compared with`,
      options: { tokens },
      measure: { kind: 'tails', rows, storage, ...(outputError && { outputError }) },
      prompts: async (model, seed) => prompts(model, seed),
    },
    Recipe.of('languageModelling', [options]),
  )
}
