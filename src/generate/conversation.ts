/** Chats on a reading: what is still to be read of a turn, what ends an answer, and what the next turn has to know of this one. */
import { options as checked } from '../expect.js'
import { ZslabError } from '../errors.js'
import type { Message, ModelFile } from '../model/index.js'
import type { TextOrIds } from '../loaded-model.js'
import type { Conversation, Reading } from '../reading.js'

export type Prompt = TextOrIds | { messages: readonly Message[] }

export interface Turn {
  /** To be read before the first token is chosen. */
  ids: Int32Array
  /** The chat that this turn belongs to, with its question; undefined outside a chat. */
  conversation: Conversation | undefined
  /** The last token chosen is not read: the text of `ids` says how the answer before ends. */
  instead: boolean
  /** Tokens that end the answer. */
  ends: ReadonlySet<number>
}

export const NOTHING = new Int32Array(0)

/** Errors: 'invalid' (nothing to go on from, wrong messages), 'unsupported' (no chat template, or one that rewrites earlier turns). */
export async function turnOf(reading: Reading, prompt: Prompt | undefined): Promise<Turn> {
  const { tokenizer, file } = reading.model
  const { conversation } = reading.current
  const unread = conversation?.unread ?? NOTHING
  const goesOn = reading.seqLen > 0
  const onward = prompt === undefined || (prompt === '' && goesOn)
  if (onward && !goesOn)
    throw new ZslabError('invalid', 'the session is empty: give generate() a prompt, or prefill one first')
  if (onward || typeof prompt !== 'object' || prompt === null || !('messages' in prompt)) {
    const ids = onward ? unread : joined(unread, reading.idsOf(prompt))
    return { ids, conversation, instead: false, ends: conversation ? await answerEnds(file) : tokenizer.ends }
  }
  const { messages } = checked('prompt', prompt, ['messages']) as { messages: readonly Message[] }
  if (goesOn && !conversation)
    throw new ZslabError(
      'invalid',
      'messages need a session that is empty or whose turns so far were messages: append the text instead',
    )
  const before = goesOn ? conversation : undefined
  // What is no array is for the template's checks to refuse.
  const asked =
    before && Array.isArray(messages)
      ? [...before.asked, { role: 'assistant', content: before.answer }, ...(messages as Message[])]
      : messages
  const [transcript, ends] = await Promise.all([file.chat(asked), answerEnds(file)])
  const ids = joined(before ? unread : NOTHING, reading.idsOf(before ? after(before, transcript) : transcript))
  const opened = { transcript, asked, answer: '', complete: false, unread: NOTHING }
  return { ids, conversation: opened, instead: before?.complete ?? false, ends }
}

/** What `transcript` says after the answer of `before`: its end and the next question. */
function after({ transcript: heard, answer }: Conversation, transcript: string): string {
  const rest = transcript.startsWith(heard) ? transcript.slice(heard.length) : undefined
  // Templates may trim what an answer says.
  const forms = [answer, answer.trimEnd(), answer.trimStart(), answer.trim()]
  const said = rest === undefined ? undefined : forms.find((form) => rest.startsWith(form))
  if (said === undefined)
    throw new ZslabError(
      'unsupported',
      "the model's chat template rewrites earlier turns, so a further turn cannot be appended: start a new session with all messages",
    )
  return rest!.slice(said.length)
}

const ENDS = new WeakMap<ModelFile, Promise<ReadonlySet<number>>>()

/** The file's end tokens, and the control token that its chat template ends an answer with. */
function answerEnds(file: ModelFile): Promise<ReadonlySet<number>> {
  let found = ENDS.get(file)
  if (!found) ENDS.set(file, (found = findEnds(file)))
  return found
}

async function findEnds({ tokenizer, chat }: ModelFile): Promise<ReadonlySet<number>> {
  const answer = 'answer'
  const turns = ['user', 'assistant', 'user'].map((role) => ({ role, content: role === 'user' ? 'question' : answer }))
  // A template that cannot have these turns is judged by what the user's messages make of it.
  const text = await chat(turns, { addGenerationPrompt: false }).catch(() => '')
  const at = text.lastIndexOf(answer)
  if (at < 0) return tokenizer.ends
  const [first] = tokenizer.encode(text.slice(at + answer.length).trimStart())
  if (first === undefined || tokenizer.idOf(tokenizer.token(first)) === undefined) return tokenizer.ends
  return new Set([...tokenizer.ends, first])
}

function joined(a: Int32Array, b: Int32Array): Int32Array {
  return a.length ? Int32Array.from([...a, ...b]) : b
}
