/** What a study measures: prompts drawn with a seed, and how each is measured. */
import { invalid } from '../expect.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Measure } from './measures/index.js'
import { checkedPrompt, type TaskPrompt } from './prompt.js'

export interface Task {
  readonly name: string
  readonly about: string
  /** What it was made with. */
  readonly options: Readonly<Record<string, unknown>>
  /** Plain data: with a prompt, all that a trial is carried out by. */
  readonly measure: Measure
  /** The same for the same model and seed. Errors: 'invalid' where the model has no room for them. */
  prompts(model: LoadedModel, seed: number): Promise<TaskPrompt[]>
}

/** What a task gives for a seed, checked: a user's own may give anything. Errors: 'invalid'. */
export async function promptsOf(task: Task, model: LoadedModel, seed: number): Promise<TaskPrompt[]> {
  const given: unknown = await task.prompts(model, seed)
  if (!Array.isArray(given) || !given.length)
    throw invalid('the prompts of the task', 'an array of at least one', given)
  const prompts = given.map((one, i) => checkedPrompt(`prompt ${i}`, one, model.description.vocabulary))
  const twice = prompts.find(({ name }, i) => prompts.findIndex((other) => other.name === name) !== i)
  if (twice) throw invalid('the prompts of the task', 'names of which each is given once', twice.name)
  return prompts
}
