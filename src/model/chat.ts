/**
 * Turns messages into a prompt by the model's own chat template. A template is a program out of a file that may come from
 * anywhere: it runs in a process of its own with a small heap and a time limit, so that none can take ours with it (a worker
 * thread would: one large allocation ends the whole process).
 */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { flag, invalid, options as checked } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import type { GgufFile } from './gguf.js'
import { wordOf } from './metadata.js'

export interface Message {
  /** As the template knows them: system, user, assistant. */
  role: string
  content: string
}

export interface ChatOptions {
  /** End with the opening of the assistant's answer (default true). */
  addGenerationPrompt?: boolean
}

const LIMIT_MS = 5000
const HEAP_MB = 128
const MAX_CHARACTERS = 2 ** 25

/**
 * The prompt for `messages`; encode it with special tokens on.
 * Errors: 'invalid' (messages, or the template refuses them), 'unsupported' (no template), 'file' (the template is broken).
 */
export async function renderChat(
  gguf: GgufFile,
  messages: readonly Message[],
  options: ChatOptions = {},
): Promise<string> {
  checked('chat options', options, ['addGenerationPrompt'])
  const addGenerationPrompt = flag('addGenerationPrompt', options.addGenerationPrompt ?? true)
  checkMessages(messages)
  const key = 'tokenizer.chat_template'
  if (gguf.metadata[key] === undefined)
    throw new ZslabError(
      'unsupported',
      `${gguf.path} has no chat template (${key}): give a text prompt instead of messages`,
    )
  const template = wordOf(gguf, key)
  const tokens = gguf.metadata['tokenizer.ggml.tokens']
  const named = (name: string) => {
    const id = gguf.metadata[`tokenizer.ggml.${name}_token_id`]
    const token = Array.isArray(tokens) && typeof id === 'number' ? tokens[id] : undefined
    return typeof token === 'string' ? token : ''
  }
  const values = {
    messages: messages.map(({ role, content }) => ({ role, content })),
    add_generation_prompt: addGenerationPrompt,
    bos_token: named('bos'),
    eos_token: named('eos'),
  }
  return rendered(gguf, template, values)
}

function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw invalid('messages', 'at least one { role, content }', messages)
  messages.forEach((message: unknown, i) => {
    const name = `messages[${i}]`
    const { role, content } = checked(name, message ?? null, ['role', 'content'])
    if (typeof role !== 'string' || role === '')
      throw invalid(`${name}.role`, "a role such as 'user', 'assistant' or 'system'", role)
    if (typeof content !== 'string') throw invalid(`${name}.content`, 'a string', content)
  })
}

/** Runs in the other process, which has Node's require and nothing of ours. */
const PROGRAM = `
let step = 'read'
let answer
try {
  const { library, template, values, most } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
  const { Template } = require(library)
  const program = new Template(template)
  step = 'run'
  const text = program.render(values)
  if (typeof text !== 'string' || text.length > most) throw new Error('its result is no text of at most ' + most + ' characters')
  answer = { text }
} catch (error) {
  answer = { step, message: String(error && error.message).slice(0, 500) }
}
process.stdout.write(JSON.stringify(answer))`

type Answer = { text: string } | { text?: undefined; step: 'read' | 'run'; message: string }

async function rendered(gguf: GgufFile, template: string, values: { messages: Message[] }): Promise<string> {
  const library = createRequire(import.meta.url).resolve('@huggingface/jinja')
  const input = JSON.stringify({ library, template, values, most: MAX_CHARACTERS })
  const broken = (how: string, cause?: unknown) =>
    new ZslabError(
      'file',
      `the chat template of ${gguf.path} ${how}: use a text prompt, or a model with another template`,
      { cause },
    )
  const answer = await new Promise<Answer>((done, fail) => {
    const child = execFile(
      process.execPath,
      [`--max-old-space-size=${HEAP_MB}`, '-e', PROGRAM],
      { env: {}, timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 8 * MAX_CHARACTERS },
      (error, output) => {
        if (!error) return done(JSON.parse(output) as Answer)
        if (error.signal === 'SIGKILL') return fail(broken(`ran for more than ${LIMIT_MS / 1000} s`, error))
        fail(broken(error.signal ? `needs more than ${HEAP_MB} MB` : `failed (${error.message.slice(0, 300)})`, error))
      },
    )
    // It may die before it has read everything; what it died of is told above.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
  if (answer.text !== undefined) return answer.text
  if (answer.step === 'read') throw broken(`cannot be read (${answer.message})`)
  const roles = values.messages.map((m) => m.role).join(', ')
  throw new ZslabError(
    'invalid',
    `the chat template of ${gguf.path} refuses these messages (${answer.message}): check their roles and order, received ${shown(roles)}`,
  )
}
