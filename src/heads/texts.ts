/** Texts as heads are measured and judged on: one or several, as strings or token ids. */
import { ZslabError } from '../errors.js'
import { idsOf, type LoadedModel, type TextOrIds } from '../loaded-model.js'

/** Ids of each. Errors: 'invalid' for a text without tokens and for one that is longer than the model's context. */
export function textsOf(model: LoadedModel, given: unknown): Int32Array[] {
  const several = Array.isArray(given) && given.some((one) => typeof one !== 'number')
  const texts = (several ? given : [given]) as TextOrIds[]
  return texts.map((one, i) => {
    const ids = idsOf(model, one, true)
    if (!ids.length) throw new ZslabError('invalid', `text ${i} has no token: give at least a few words`)
    const { context } = model.description
    if (ids.length > context)
      throw new ZslabError(
        'invalid',
        `text ${i} has ${ids.length} tokens, more than the ${context} of the model's context: give a shorter one`,
      )
    return ids
  })
}
