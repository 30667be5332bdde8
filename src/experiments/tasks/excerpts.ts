/** Excerpts of texts, as prompts. */
import { ZslabError } from '../../errors.js'
import { integer } from '../../expect.js'
import { idsOf, type LoadedModel } from '../../loaded-model.js'
import { generator } from '../../sampling.js'
import type { TaskPrompt } from '../prompt.js'
import { sourceTexts, type Texts } from './texts.js'

export interface ExcerptsOptions {
  /** Default 'sotu': State of the Union addresses, clusters by president. 'moby-dick': its chapters, which are one cluster; or own texts. */
  text?: Texts
  /** So many texts, the first. Default: 24 of a collection, all of a user's own. */
  texts?: number
  /** Of an excerpt; where it begins in its text the seed draws. Default 1,024. */
  tokens?: number
}

export const EXCERPTS = ['text', 'texts', 'tokens']

interface Excerpts {
  tokens: number
  /** Of each text one. Errors: 'invalid' where a text is shorter than the excerpt and `more`, or the context. */
  prompts(model: LoadedModel, seed: number): TaskPrompt[]
}

/** `least`: tokens of an excerpt, at least; `more`: that come after it. Errors: 'invalid' naming the option. */
export function excerpts(options: ExcerptsOptions, least: number, more = 0): Excerpts {
  const texts = options.texts === undefined ? undefined : integer('texts', options.texts, 1)
  const tokens = options.tokens === undefined ? 1024 : integer('tokens', options.tokens, least)
  const sources = sourceTexts(options.text ?? 'sotu', texts)
  /** Ids of each, by model: every seed draws from the same. */
  const read = new WeakMap<LoadedModel, Int32Array[]>()
  return {
    tokens,
    prompts(model, seed) {
      const { context } = model.description
      if (tokens + more > context)
        throw new ZslabError(
          'invalid',
          `excerpts of ${tokens} tokens${more ? ` and ${more} after them` : ''} do not fit into the context of ${model.name}, ${context}: give fewer tokens`,
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
