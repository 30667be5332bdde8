/** What a task gives to be measured: plain data, that another process can be handed as JSON. */
import { integer, invalid, object, options as checked, text } from '../expect.js'

export interface TaskPrompt {
  /** Unlike any other's of the task and seed. */
  name: string
  /** What it belongs to: prompts of one cluster are one observation. */
  cluster: string
  /** Read before policies act, once for all of them. */
  ids: Int32Array
  /** What comes then, in order; none where nothing is asked. */
  turns: readonly Turn[]
  /** Positions of `ids` that answers need, where the task knows them. */
  evidence?: Int32Array
}

export interface Turn {
  /** Tokens that are read after policies have acted; none where the prompt itself asks. */
  ask: Int32Array
  /** What is right to say: how they count is the measure's. */
  answers: readonly string[]
}

/** Of a prompt, with its ids as arrays of numbers. */
export interface PromptJSON {
  name: string
  cluster: string
  ids: number[]
  turns: { ask: number[]; answers: string[] }[]
  evidence?: number[]
}

export const promptToJSON = ({ name, cluster, ids, turns, evidence }: TaskPrompt): PromptJSON => ({
  name,
  cluster,
  ids: Array.from(ids),
  turns: turns.map(({ ask, answers }) => ({ ask: Array.from(ask), answers: [...answers] })),
  ...(evidence && { evidence: Array.from(evidence) }),
})

/** Errors: 'invalid' naming what of it is wrong. */
export const promptFromJSON = (found: unknown): TaskPrompt => checkedPrompt('prompt', found)

/** What a task or a file gives, as `what` in what is said of it; with `vocabulary`, ids that are below it. Errors: 'invalid'. */
export function checkedPrompt(what: string, found: unknown, vocabulary = 2 ** 31): TaskPrompt {
  const known = ['name', 'cluster', 'ids', 'turns', 'evidence']
  const { name, cluster, ids: given, turns, evidence } = checked(what, object(what, found), known)
  const ids = idsOf(`${what}.ids`, given, 1, vocabulary)
  return {
    name: word(`${what}.name`, name),
    cluster: word(`${what}.cluster`, cluster),
    ids,
    turns: listOf(`${what}.turns`, turns).map((turn, i) => {
      const at = `${what}.turns[${i}]`
      const { ask, answers } = checked(at, object(at, turn), ['ask', 'answers'])
      return {
        ask: idsOf(`${at}.ask`, ask, 0, vocabulary),
        answers: listOf(`${at}.answers`, answers).map((answer, j) => text(`${at}.answers[${j}]`, answer)),
      }
    }),
    ...(evidence !== undefined && { evidence: idsOf(`${what}.evidence`, evidence, 1, ids.length) }),
  }
}

function word(name: string, given: unknown): string {
  if (text(name, given) === '') throw invalid(name, 'a name', given)
  return given as string
}

function listOf(name: string, given: unknown): unknown[] {
  if (!Array.isArray(given)) throw invalid(name, 'an array', given)
  return given
}

/** Whole numbers below `end`, at least so many. */
function idsOf(name: string, given: unknown, least: number, end: number): Int32Array {
  if (!(given instanceof Int32Array) && !Array.isArray(given))
    throw invalid(name, 'an Int32Array or an array of numbers', given)
  if (given.length < least) throw invalid(name, 'at least one', given)
  return Int32Array.from(given as ArrayLike<unknown>, (id, i) => integer(`${name}[${i}]`, id, 0, end - 1))
}
