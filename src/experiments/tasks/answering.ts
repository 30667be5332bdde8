/** What tasks share whose prompts are a context and questions about it, and whose measure is what the answers say. */
import { ZslabError } from '../../errors.js'
import { invalid, oneOf } from '../../expect.js'
import { spanOf } from '../../inspect/span.js'
import type { LoadedModel } from '../../loaded-model.js'
import { STORAGES, type Storage } from '../../native/engine.js'
import { madeBy, Recipe } from '../../recipe/recipe.js'
import type { TaskPrompt } from '../prompt.js'
import type { ScoreName } from '../scores/index.js'
import type { Task } from '../task.js'

export interface AnsweringOptions {
  /**
   * 'within' (default): the question is part of the prompt, so that policies choose knowing it; of several, each further one goes on in the same session,
   * after the right answer to the one before. 'after': the context alone is the prompt, and each question is put to it as policies have left it. These
   * are SCBench's two modes, several turns and several requests (arXiv 2412.10319).
   */
  question?: 'within' | 'after'
  /** How keys and values are kept; default 'float16'. */
  storage?: Storage
}

export const ANSWERING = ['question', 'storage']

export interface Question {
  question: string
  /** What is right to say. */
  answers: readonly string[]
  /** What the answer begins with, so that the model only has to go on. */
  begin?: string
}

export interface Asking {
  name: string
  cluster: string
  context: string
  /** As many as the task has turns. */
  questions: readonly Question[]
  /** What of the context answers need, each of it standing there once. */
  evidence?: readonly string[]
}

interface Parts {
  /** The function that makes it. */
  call: string
  name: string
  about: string
  /** What it was made with. */
  options: Readonly<Record<string, unknown>>
  /** Of an answer, at most. */
  tokens: number
  /** How what was said is scored; the first is what it is about. */
  scores: readonly ScoreName[]
  /** What the full cache has to reach in the mean: below it the model cannot do the task, whatever the policy. Default 0.5. */
  able?: number
  /** Questions about each context; default 1. */
  turns?: number
  /** Whether what is asked says what of its context answers need. */
  evidence?: boolean
  asked(model: LoadedModel, seed: number): readonly Asking[]
}

/** `options`: all that the task's function was given. */
export function answering(parts: Parts, options: AnsweringOptions): Task {
  const { question = 'within', storage = 'float16' } = options
  const within = oneOf('question', question, ['within', 'after']) === 'within'
  oneOf('storage', storage, STORAGES)
  const { tokens, scores, able = 0.5, turns = 1 } = parts
  const mode = within ? 'session' : 'requests'
  // Where all of them are to be said, all of them are what was said.
  const right = (answers: readonly string[]) => (scores[0] === 'all' ? answers.join(', ') : answers[0])
  const task: Task = {
    name: parts.name,
    about: `${parts.about}; ${comes(within, turns)}`,
    options: { ...parts.options, question },
    measure: {
      kind: 'answers',
      tokens,
      scores,
      able,
      storage,
      ...(turns > 1 && { turns, mode }),
      ...(parts.evidence && { evidence: true }),
    },
    async prompts(model, seed) {
      const { head, tail, between } = await frameOf(model)
      const encode = (text: string) => (text ? model.tokenizer.encode(text) : new Int32Array())
      return parts.asked(model, seed).map(({ name, cluster, context, questions, evidence = [] }): TaskPrompt => {
        const asks = questions.map(({ question: asked, begin = '' }) => asked + tail + begin)
        const went = questions.map(({ answers, begin }) => (begin ? ' ' : '') + right(answers) + between)
        const ids = encode(head + context + (within ? `\n\n${asks[0]}` : ''))
        const then = asks.map((ask, i) => encode(within ? (i ? went[i - 1] + ask : '') : `\n\n${ask}`))
        const after = within
          ? then.reduce((sum, ask) => sum + ask.length, 0)
          : Math.max(...then.map((ask) => ask.length))
        const most = model.description.context - tokens - after
        if (ids.length > most)
          throw invalid(
            'the prompt',
            `at most ${most} tokens, so that the answer has room in the context of ${model.name}`,
            ids.length,
            'give a shorter length',
          )
        return {
          name,
          cluster,
          ids,
          turns: questions.map(({ answers }, i) => ({ ask: then[i], answers })),
          ...(evidence.length && { evidence: positionsOf(model, ids, evidence) }),
        }
      })
    },
  }
  return madeBy(task, Recipe.of(parts.call, [options]))
}

/** Of the tokens that `pieces` stand in. */
function positionsOf({ tokenizer }: LoadedModel, ids: Int32Array, pieces: readonly string[]): Int32Array {
  const texts = Array.from(ids, (id) => tokenizer.token(id))
  const found = pieces.flatMap((text) => {
    const { from, to } = spanOf(texts, { text })
    return Array.from({ length: to - from }, (_, i) => from + i)
  })
  return Int32Array.from(new Set(found)).sort()
}

const comes = (within: boolean, turns: number): string =>
  turns < 2
    ? `the question comes ${within ? 'with the prompt' : 'after policies have acted on the context'}`
    : within
      ? `the first of ${turns} questions comes with the prompt, the others in the same session, each after the right answer to the one before`
      : `each of ${turns} questions is put to the context as policies have left it`

/** Marks of what two people say. */
const [ASKED, ANSWERED, AGAIN] = ['what is asked', 'what is answered', 'what is asked again']

/** What stands before and after a user's words, and between an answer and what is asked next. */
interface Frame {
  head: string
  tail: string
  between: string
}

const PLAIN: Frame = { head: '', tail: '\n\nAnswer:', between: '\n\n' }

/** Read once: templates are run apart, which takes its time. */
const frames = new WeakMap<LoadedModel, Promise<Frame>>()

function frameOf(model: LoadedModel): Promise<Frame> {
  const frame = frames.get(model) ?? readFrame(model)
  frames.set(model, frame)
  return frame
}

/** By the model's chat template; plain words where it has none. Errors: as of a chat, but that. */
async function readFrame({ file }: LoadedModel): Promise<Frame> {
  try {
    const [one, several] = await Promise.all([
      file.chat([{ role: 'user', content: ASKED }]),
      file.chat([
        { role: 'user', content: ASKED },
        { role: 'assistant', content: ANSWERED },
        { role: 'user', content: AGAIN },
      ]),
    ])
    const at = one.indexOf(ASKED)
    const [answered, again] = [ANSWERED, AGAIN].map((mark) => several.indexOf(mark))
    if (at < 0 || answered < 0 || again < answered) return PLAIN
    return {
      head: one.slice(0, at),
      tail: one.slice(at + ASKED.length),
      between: several.slice(answered + ANSWERED.length, again),
    }
  } catch (error) {
    if (error instanceof ZslabError && error.code === 'unsupported') return PLAIN
    throw error
  }
}
