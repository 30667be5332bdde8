/** What the commands share: options of policies, prompts and models, how numbers are read, how failures end. */
import { readFile } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { shown, ZslabError } from '../errors.js'
import { load, type Model, type Weights } from '../load.js'
import { ISAS, STORAGES, type Isa } from '../native/engine.js'
import { OPTIONS, POLICIES, policyNamed, type OptionName, type Policy } from '../policies/index.js'

export const EXIT = { failure: 1, usage: 2, interrupted: 130 } as const

export function number(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text)
  if (!Number.isFinite(value)) throw new InvalidArgumentError(`expected a number but received ${shown(text)}`)
  return value
}

export function whole(text: string): number {
  const value = number(text)
  if (!Number.isInteger(value)) throw new InvalidArgumentError(`expected a whole number but received ${shown(text)}`)
  return value
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** Options of policies whose values are words; the others are numbers. */
const WORDS: OptionName[] = ['history', 'similarity', 'scoreMerge', 'init', 'underfull', 'granularity', 'aggregate']

/** --policy, --mode and one option for each of the policies' own. */
export function policyOptions(command: Command, fallback: string): Command {
  const names = POLICIES.map((policy) => policy.name)
  command.addOption(new Option('--policy <name>', 'how the cache is kept').choices(names).default(fallback))
  command.option('--mode <mode>', 'preset of zsmerge: fixed, paper, reference (default: fixed)')
  for (const [name, { about, unit }] of Object.entries(OPTIONS)) {
    const option = new Option(`--${kebab(name)} <value>`, `${about} (${unit})`)
    if (name === 'window') option.argParser((text) => (text === 'auto' || text === 'all' ? text : whole(text)))
    else if (!WORDS.includes(name as OptionName)) option.argParser(number)
    command.addOption(option)
  }
  return command
}

export function policyFrom(options: Record<string, unknown>): Policy {
  const given: Record<string, unknown> = {}
  for (const name of ['mode', ...Object.keys(OPTIONS)]) if (options[name] !== undefined) given[name] = options[name]
  return policyNamed(options.policy as string, given)
}

/** --model, --weights, --storage, --threads, --isa. */
export function modelOptions(command: Command): Command {
  return command
    .option('--model <name or path>', 'a known model or a GGUF file', 'smollm2-135m')
    .addOption(
      new Option('--weights <type>', 'how weights are held (default: bfloat16 where the CPU has it)').choices([
        'float32',
        'bfloat16',
      ]),
    )
    .addOption(
      new Option('--storage <type>', 'how keys and values are kept (default: like the weights)').choices([...STORAGES]),
    )
    .option('--threads <n>', 'default: every CPU', whole)
    .addOption(new Option('--isa <name>', 'instruction set (default: the best)').choices(['best', ...ISAS]))
}

export function loadFrom(options: Record<string, unknown>, signal: AbortSignal): Promise<Model> {
  return load(options.model as string, {
    weights: options.weights as Weights | undefined,
    threads: options.threads as number | undefined,
    isa: options.isa as Isa | undefined,
    signal,
  })
}

export interface GivenPrompt {
  text?: string
  ids?: number[]
}

/** --prompt, --prompt-file, --prompt-ids: exactly one. */
export function promptOptions(command: Command): Command {
  return command
    .option('--prompt <text>', 'the prompt')
    .option('--prompt-file <file>', 'a text file with the prompt; - is standard input')
    .option('--prompt-ids <file>', 'a JSON file with an array of token ids')
}

export async function promptFrom(options: Record<string, unknown>): Promise<GivenPrompt> {
  const given = ['prompt', 'promptFile', 'promptIds'].filter((name) => options[name] !== undefined)
  if (given.length !== 1)
    throw new UsageError(
      given.length === 0
        ? 'no prompt: give one with --prompt, --prompt-file or --prompt-ids'
        : `${given.map((name) => `--${kebab(name)}`).join(' and ')} were given: leave one`,
    )
  if (options.prompt !== undefined) return { text: options.prompt as string }
  const path = (options.promptFile ?? options.promptIds) as string
  const text = await contents(path)
  if (options.promptFile !== undefined) return { text }
  let ids: unknown
  try {
    ids = JSON.parse(text)
  } catch (error) {
    throw new ZslabError('file', `${path} is no JSON (${(error as Error).message}): expected an array of token ids`)
  }
  if (!Array.isArray(ids))
    throw new ZslabError('file', `${path}: expected an array of token ids but found ${shown(ids)}`)
  return { ids: ids as number[] }
}

async function contents(path: string): Promise<string> {
  try {
    if (path !== '-') return await readFile(path, 'utf8')
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('utf8')
  } catch (error) {
    throw new ZslabError('file', `cannot read ${shown(path)}: ${(error as Error).message}`, { cause: error })
  }
}

/** A mistake on the command line that commander cannot see: exit code 2. */
export class UsageError extends Error {}

/** A signal that Ctrl+C aborts; a second one ends the process at once. */
export function interruptSignal(): { signal: AbortSignal; interrupted: () => boolean; done: () => void } {
  const controller = new AbortController()
  const abort = () => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    controller.abort(new DOMException('interrupted', 'AbortError'))
  }
  process.on('SIGINT', abort)
  return {
    signal: controller.signal,
    interrupted: () => controller.signal.aborted,
    done: () => void process.off('SIGINT', abort),
  }
}

export const print = (text: string) => void process.stdout.write(text + '\n')
export const note = (text: string) => void process.stderr.write(text + '\n')

/** JSON with typed arrays as arrays, and NaN and infinities as null. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) =>
    ArrayBuffer.isView(one) ? Array.from(one as unknown as number[]) : one,
  )
}
