/** Language modelling: an excerpt is read, and its last tokens are predicted one by one; what a policy loses there, beside the full cache. */
import { ZslabError } from '../../errors.js'
import { flag, integer, oneOf, options as checked } from '../../expect.js'
import { idsOf, type LoadedModel } from '../../loaded-model.js'
import { generator } from '../../sampling.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import type { TaskPrompt } from '../prompt.js'
import type { Task } from '../task.js'
import { sourceTexts, type Texts } from './texts.js'

export interface LanguageModellingOptions {
  /** Default 'sotu': State of the Union addresses, clusters by president. 'moby-dick': its chapters, which are one cluster; or own texts. */
  text?: Texts
  /** So many texts, the first. Default: 24 of a collection, all of a user's own. */
  texts?: number
  /** Of an excerpt; where it begins in its text the seed draws. Default 1,024. */
  tokens?: number
  /** The last so many of those are predicted one by one, as generating does; default 64. */
  rows?: number
  /** How keys and values are kept; default 'float16'. */
  storage?: Storage
  /** Measures the heads' output error, too, which takes longer; default false. Trials of policies that change keys or values as they come then fail. */
  outputError?: boolean
}

/** Errors: 'invalid' naming the option; by prompts() where a text is shorter than the excerpt, or the excerpt longer than the context. */
export function languageModelling(options: LanguageModellingOptions = {}): Task {
  checked('languageModelling', options, ['text', 'texts', 'tokens', 'rows', 'storage', 'outputError'])
  const text = options.text ?? 'sotu'
  const texts = options.texts === undefined ? undefined : integer('texts', options.texts, 1)
  const tokens = options.tokens === undefined ? 1024 : integer('tokens', options.tokens, 3)
  const rows = options.rows === undefined ? Math.min(64, tokens - 1) : integer('rows', options.rows, 2, tokens - 1)
  const storage = options.storage === undefined ? 'float16' : oneOf('storage', options.storage, STORAGES)
  const outputError = options.outputError === undefined ? false : flag('outputError', options.outputError)
  const sources = sourceTexts(text, texts)
  /** Ids of each, by model: every seed draws from the same. */
  const read = new WeakMap<LoadedModel, Int32Array[]>()
  return {
    name: 'language modelling',
    about: `the last ${rows} tokens of excerpts of ${tokens}, one by one after the others were read as a prompt; the same tokens under the full cache are what they are compared with`,
    options: { tokens },
    measure: { kind: 'tails', rows, storage, ...(outputError && { outputError }) },
    async prompts(model, seed) {
      const { context } = model.description
      if (tokens > context)
        throw new ZslabError(
          'invalid',
          `excerpts of ${tokens} tokens do not fit into the context of ${model.name}, ${context}: give fewer tokens`,
        )
      const all = read.get(model) ?? sources.map((source) => idsOf(model, source.text, true))
      read.set(model, all)
      const draw = generator(seed)
      return sources.map(({ name, cluster }, i): TaskPrompt => {
        const ids = all[i]
        if (ids.length < tokens)
          throw new ZslabError(
            'invalid',
            `${name} has ${ids.length} tokens, fewer than the ${tokens} of an excerpt: leave it out, or give fewer tokens`,
          )
        const from = Math.floor(draw() * (ids.length - tokens + 1))
        return { name, cluster, ids: ids.slice(from, from + tokens), turns: [] }
      })
    },
  }
}
