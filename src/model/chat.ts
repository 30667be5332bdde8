/**
 * Turns messages into a prompt by the model's own chat template. A template is a program out of a file that may come from
 * anywhere: it runs in a process of its own with a small heap and a time limit, so that none can take ours with it (a worker
 * thread would: one large allocation ends the whole process).
 */
import { spawn } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { flag, invalid, options as checked } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import type { GgufFile } from './gguf.js'
import { wordOf } from './metadata.js'
import type { Answer, Question } from './template/child.js'

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
const START_MS = 120_000
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
  // As transformers calls it: tools and documents are there, and None.
  const values = {
    messages: messages.map(({ role, content }) => ({ role, content })),
    tools: null,
    documents: null,
    add_generation_prompt: addGenerationPrompt,
    bos_token: named('bos'),
    eos_token: named('eos'),
    ...(named('unknown') && { unk_token: named('unknown') }),
    ...(named('padding') && { pad_token: named('padding') }),
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

/** From src/ it is TypeScript, which only tests run. */
const CHILD = fileURLToPath(new URL(`./template/child${extname(import.meta.url)}`, import.meta.url))
const LOADER = CHILD.endsWith('.ts') ? ['--import', 'tsx'] : []

/** Asks the other process. Its time counts from when it is ready: starting may take long on a busy machine. */
function asked(question: Question, broken: (how: string, cause?: unknown) => ZslabError): Promise<Answer> {
  return new Promise((done, fail) => {
    const env = process.env.TZ === undefined ? {} : { TZ: process.env.TZ }
    const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, ...LOADER, CHILD], {
      ...{ env, stdio: 'pipe', timeout: START_MS, killSignal: 'SIGKILL' },
    })
    const parts: Buffer[] = []
    let late = false
    let timer: NodeJS.Timeout | undefined
    child.stdout.on('data', (part: Buffer) => {
      parts.push(part)
      timer ??= setTimeout(() => {
        late = true
        child.kill('SIGKILL')
      }, LIMIT_MS)
    })
    child.stderr.resume()
    child.on('error', (error) => fail(broken(`failed (${error.message.slice(0, 300)})`, error)))
    child.on('close', (status, signal) => {
      clearTimeout(timer)
      if (late || (signal === 'SIGKILL' && !timer)) return fail(broken(`ran for more than ${LIMIT_MS / 1000} s`))
      if (signal) return fail(broken(`needs more than ${HEAP_MB} MB`))
      if (status !== 0) return fail(broken(`failed (exit code ${status})`))
      done(JSON.parse(Buffer.concat(parts).toString('utf8')) as Answer)
    })
    // It may die before it has read everything; what it died of is told above.
    child.stdin.on('error', () => undefined)
    child.stdin.end(JSON.stringify(question))
  })
}

async function rendered(gguf: GgufFile, template: string, values: { messages: Message[] }): Promise<string> {
  const of = `the chat template of ${gguf.path}`
  const broken = (how: string, cause?: unknown) =>
    new ZslabError('file', `${of} ${how}: use a text prompt, or a model with another template`, { cause })
  const answer = await asked({ template, values, most: MAX_CHARACTERS }, broken)
  if (answer.text !== undefined) return answer.text
  const { step, message } = answer
  if (step === 'read') throw broken(`cannot be read (${message})`)
  if (step === 'unsupported')
    throw new ZslabError(
      'unsupported',
      `${of} uses ${message}, which zslab's templates do not have: use a text prompt, or a model with another template`,
    )
  const roles = shown(values.messages.map((m) => m.role).join(', '))
  if (step === 'run')
    throw broken(
      `fails on these messages (${message}; a template may expect other roles than ${roles}, or more of them)`,
    )
  throw new ZslabError(
    'invalid',
    `${of} refuses these messages (${message}): check their roles and order, received ${roles}`,
  )
}
