/** What tasks share whose prompts are a context and a question, and whose measure is what the answer says. */
import { ZslabError } from '../../errors.js'
import { invalid, oneOf } from '../../expect.js'
import type { LoadedModel } from '../../loaded-model.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import type { ScoreName } from '../scores/index.js'
import type { TaskPrompt } from '../prompt.js'
import type { Task } from '../task.js'

export interface AnsweringOptions {
  /**
   * 'within' (default): the question is part of the prompt, so that policies choose knowing it. 'after': the context alone is the prompt, and the
   * question comes when they have chosen.
   */
  question?: 'within' | 'after'
  /** How keys and values are kept; default 'float16'. */
  storage?: Storage
}

export interface Asking {
  name: string
  cluster: string
  context: string
  question: string
  /** What is right to say. */
  answers: readonly string[]
}

interface Parts {
  name: string
  about: string
  /** What it was made with. */
  options: Readonly<Record<string, unknown>>
  /** Of an answer, at most. */
  tokens: number
  /** How what was said is scored; the first is what it is about. */
  scores: readonly ScoreName[]
  /** What the full cache has to reach in the mean: below it the model cannot do the task, whatever the policy. */
  able: number
  asked(model: LoadedModel, seed: number): Asking[]
}

export function answering(parts: Parts, { question = 'within', storage = 'float16' }: AnsweringOptions): Task {
  oneOf('question', question, ['within', 'after'])
  oneOf('storage', storage, STORAGES)
  const { tokens, scores, able } = parts
  return {
    name: parts.name,
    about: `${parts.about}; the question comes ${question === 'within' ? 'with the prompt' : 'after policies have acted on the context'}`,
    options: { ...parts.options, question },
    measure: { kind: 'answers', tokens, scores, able, storage },
    async prompts(model, seed) {
      const [head, tail] = await frameOf(model)
      const encode = (text: string) => model.tokenizer.encode(text)
      return parts.asked(model, seed).map(({ name, cluster, context, question: asked, answers }): TaskPrompt => {
        const rest = `\n\n${asked}${tail}`
        const ids = question === 'within' ? encode(head + context + rest) : encode(head + context)
        const ask = question === 'within' ? new Int32Array() : encode(rest)
        const most = model.description.context - tokens - ask.length
        if (ids.length > most)
          throw invalid(
            'the prompt',
            `at most ${most} tokens, so that the answer has room in the context of ${model.name}`,
            ids.length,
            'give a shorter length',
          )
        return { name, cluster, ids, turns: [{ ask, answers }] }
      })
    },
  }
}

const MARK = 'what the user says'

/** What stands before and after a user's words, by the model's chat template; plain words where it has none. Errors: as of a chat, but that. */
async function frameOf({ file }: LoadedModel): Promise<[string, string]> {
  const text = await file.chat([{ role: 'user', content: MARK }]).catch((error: unknown) => {
    if (error instanceof ZslabError && error.code === 'unsupported') return ''
    throw error
  })
  const at = text.indexOf(MARK)
  return at < 0 ? ['', '\n\nAnswer:'] : [text.slice(0, at), text.slice(at + MARK.length)]
}
