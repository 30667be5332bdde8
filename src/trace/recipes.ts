/** How runs and traces were made: the session's calls as it was fed, one by one, and the generation at their end. */
import type { Fed } from '../calls.js'
import type { Reading } from '../reading.js'
import { Recipe, recipeOf, type Step } from '../recipe/recipe.js'
import type { Sampling } from '../sampling.js'
import { optionOf } from './level.js'

/** A session like `reading` that has been fed `log`. */
export function sessionRecipe(reading: Reading, log: readonly Fed[]): Recipe {
  const { model, policy, budgets, storage, trace, cache } = reading
  const [prompt] = log
  if (prompt && prompt.shareOf !== prompt.ids.length)
    return Recipe.missing(`a session whose first prompt was scored, shares of ${prompt.shareOf} tokens`)
  const { layers, kvHeads } = model.description
  const { origins = true } = cache.options
  const options = {
    policy,
    budgets,
    storage,
    trace: optionOf(trace, layers, kvHeads),
    ...(!origins && { origins }),
  }
  return Recipe.of('session', [options], { on: recipeOf(model), then: stepsOf(log) })
}

/** What was fed by calls of one token each is one step with all of them. */
function stepsOf(log: readonly Fed[]): Step[] {
  const steps: Step[] = []
  log.forEach(({ ids, then = [] }, i) => {
    const before = steps[steps.length - 1]
    if (i === 0) steps.push({ call: 'prefill', given: [ids] })
    else if (ids.length > 1) steps.push({ call: 'append', given: [ids] })
    else if (before.call === 'step') steps.splice(-1, 1, { ...before, each: [...before.each!, ids[0]] })
    else steps.push({ call: 'step', given: [], each: [ids[0]] })
    for (const { again } of then) steps.push({ call: again.call, given: Recipe.of(again.call, again.given).given })
  })
  return steps
}

interface Generated {
  tokens: readonly number[]
  /** The entry of the log whose last row the first token was chosen from. */
  logStart: number
  sampling: Sampling
}

/** The run that `generated` became; its session was fed `log`. */
export function runRecipe(reading: Reading, log: readonly Fed[], generated: Generated): Recipe {
  const { tokens, logStart, sampling } = generated
  const last = log[logStart]
  if (!last || !tokens.length) return Recipe.missing('a run that was stopped before it wrote a token')
  const { temperature, topK, topP, minP, seed } = sampling
  const drawn = temperature > 0 ? { temperature, topK, topP, minP } : {}
  // However it ended, so many tokens came.
  const options = { maxTokens: tokens.length, ...drawn, seed, ignoreEos: true }
  return Recipe.of('generate', [last.ids, options], { on: sessionRecipe(reading, log.slice(0, logStart)) })
}
