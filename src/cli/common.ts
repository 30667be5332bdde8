/** What the commands share: options of policies, prompts and models, how numbers are read, how failures end. */
import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Budgets } from '../budgets.js'
import { shown, ZslabError } from '../errors.js'
import { load } from '../load.js'
import { WEIGHTS, type Weights } from '../loaded-model.js'
import type { DeviceName } from '../native/device.js'
import { ISAS, STORAGES, type Isa, type Storage } from '../native/engine.js'
import { POLICIES, policyNamed, wrappedBy, type Policy, type PolicyDefinition } from '../policies/index.js'
import type { Model, Session } from '../session.js'
import type { TraceOption } from '../trace/level.js'

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

/** Every flag of the policies' own: its option's name, and what it means to each policy that has it. */
function policyFlags(): Map<string, { option: string; about: string }> {
  const meanings = new Map<string, { option: string; said: Map<string, string[]> }>()
  for (const policy of POLICIES) {
    const presets = Object.keys(policy.presets).filter((preset) => preset !== '')
    const preset = { about: `preset of ${policy.name}`, unit: presets.join(' | ') }
    const own: [string, { about: string; unit: string; flag?: string }][] = Object.entries(policy.options)
    if (presets.length) own.unshift([policy.preset ?? 'mode', preset])
    for (const [option, { about, unit, flag }] of own) {
      const name = flag ?? kebab(option)
      const { said } = meanings.get(name) ?? meanings.set(name, { option, said: new Map() }).get(name)!
      const meaning = `${about} (${unit})`
      said.set(meaning, [...(said.get(meaning) ?? []), policy.name])
    }
  }
  return new Map(
    [...meanings].map(([name, { option, said }]) => {
      const parts = [...said].map(([meaning, of]) => (said.size > 1 ? `${of.join(', ')}: ${meaning}` : meaning))
      return [name, { option, about: parts.join('; ') }]
    }),
  )
}

const camel = (name: string) => name.replace(/-[a-z]/g, (letter) => letter[1].toUpperCase())

/** A number where it is one, else the word; the policy says what it takes. */
const value = (text: string) => (text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text))

/** policyChoice(), and --budgets. */
export function policyOptions(command: Command, fallback: string): Command {
  return policyChoice(command, fallback).option(
    '--budgets <file>',
    "a JSON file with budgets by head, [layers][kvHeads], instead of the policy's",
  )
}

/** --policy, --of and one flag for each of the policies' own options; without `fallback` there may be no policy. */
export function policyChoice(command: Command, fallback?: string): Command {
  const names = POLICIES.map((policy) => policy.name)
  const wrapped = POLICIES.filter((policy) => !policy.wraps).map((policy) => policy.name)
  // There are so many that those of the command itself would be lost among them.
  const put = (option: Option) => command.addOption(option.helpGroup('Options of policies:'))
  put(new Option('--policy <name>', 'how the cache is kept').choices(names).default(fallback))
  put(new Option('--of <name>', 'the policy that a wrapper works on').choices(wrapped))
  for (const [flag, { about }] of policyFlags()) put(new Option(`--${flag} <value>`, about).argParser(value))
  return command
}

/** Whether `flag` sets the option `option` of `policy`. */
function hasFlag({ options, presets, preset = 'mode' }: PolicyDefinition, flag: string, option: string): boolean {
  if (option in options) return (options[option].flag ?? kebab(option)) === flag
  return option === preset && Object.keys(presets).some((name) => name !== '')
}

/** The policy that the flags name; a flag that it lacks is a mistake of usage. Under a wrapper all but its own go to the inner one. */
export function policyFrom(options: Record<string, unknown>): Policy {
  const named = (name: unknown) => POLICIES.find((policy) => policy.name === name)!
  const outer = named(options.policy)
  const wrapped = options.of ?? wrappedBy(outer)?.name
  if (!outer.wraps && options.of !== undefined)
    throw new UsageError(`--of is for policies that work on another one, not for ${outer.name}`)
  if (outer.wraps && wrapped === undefined)
    throw new UsageError(`${outer.name} works on another policy: name it with --of`)
  const inner = outer.wraps ? named(wrapped) : outer
  const given: Record<string, unknown> = {}
  const own: Record<string, unknown> = {}
  for (const [flag, { option }] of policyFlags()) {
    const set = options[camel(flag)]
    if (set === undefined) continue
    if (outer.wraps && hasFlag(outer, flag, option)) own[option] = set
    // A flag of another policy's keeps its own name, by which the policy then refuses it.
    else given[hasFlag(inner, flag, option) ? option : camel(flag)] = set
  }
  const policy = policyNamed(inner.name, given)
  return outer.wraps ? policyNamed(outer.name, { ...own, of: policy }) : policy
}

/** The first flag that is of a policy; undefined: none was given. */
export function policyFlagGiven(options: Record<string, unknown>): string | undefined {
  const flag = ['of', ...policyFlags().keys()].find((name) => options[camel(name)] !== undefined)
  return flag && `--${flag}`
}

/** --budgets: what the file holds; undefined without. */
async function budgetsFrom(options: Record<string, unknown>): Promise<Budgets | undefined> {
  if (options.budgets === undefined) return undefined
  const path = options.budgets as string
  try {
    return JSON.parse(await contents(path)) as Budgets
  } catch (error) {
    if (error instanceof ZslabError) throw error
    throw new ZslabError('file', `${path} is no JSON (${(error as Error).message}): expected [layers][kvHeads] budgets`)
  }
}

/** --model, --weights, --threads, --isa, --device, --device-memory. */
export function loadOptions(command: Command): Command {
  return command
    .option('--model <name or path>', 'a known model or a GGUF file', 'smollm2-135m')
    .addOption(
      new Option('--weights <type>', 'how weights are held (default: file, on a device bfloat16)').choices([
        ...WEIGHTS,
      ]),
    )
    .option('--threads <n>', 'default: every CPU', whole)
    .addOption(new Option('--isa <name>', 'instruction set (default: the best)').choices(['best', ...ISAS]))
    .option(
      '--device <name>',
      'where caches are kept and tokens after the prompt run: cpu (default), cuda, cuda:1, or auto: a GPU if one can be used',
    )
    .option(
      '--device-memory <bytes>',
      'what the model and all caches may take on the GPU (default: nine tenths of what is free)',
      whole,
    )
}

/** loadOptions(), and of sessions --storage, --no-origins. */
export function modelOptions(command: Command): Command {
  return loadOptions(command)
    .addOption(new Option('--storage <type>', 'how keys and values are kept (default: float16)').choices([...STORAGES]))
    .option(
      '--no-origins',
      'keep counts alone: a slot knows its first position and its weight, not every position it stands for (nothing then grows with the text)',
    )
}

export function loadFrom(options: Record<string, unknown>, signal: AbortSignal): Promise<Model> {
  return load(options.model as string, {
    weights: options.weights as Weights | undefined,
    threads: options.threads as number | undefined,
    isa: options.isa as Isa | undefined,
    device: options.device as DeviceName | undefined,
    deviceMemory: options.deviceMemory as number | undefined,
    signal,
  })
}

/** A session under `policy`, with --budgets, --storage and --no-origins. */
export async function sessionFrom(
  model: Model,
  policy: Policy,
  options: Record<string, unknown>,
  trace: TraceOption = false,
): Promise<Session> {
  return model.session({
    policy,
    budgets: await budgetsFrom(options),
    storage: options.storage as Storage | undefined,
    origins: options.origins as boolean,
    trace,
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
  if (options.promptFile !== undefined) return { text: await contents(options.promptFile as string) }
  return { ids: await idsFrom(options.promptIds as string) }
}

/** --prompt, --prompt-file and --prompt-ids, any of them several times. */
export function promptsOptions(command: Command): Command {
  const each = (one: string, before: string[] = []) => [...before, one]
  return command
    .option('--prompt <text>', 'a text; give it again for another', each)
    .option('--prompt-file <file>', 'a text file; - is standard input; give it again for another', each)
    .option('--prompt-ids <file>', 'a JSON file with an array of token ids; give it again for another', each)
}

/** All that were given: texts, then files, then ids. */
export async function promptsFrom(options: Record<string, unknown>): Promise<GivenPrompt[]> {
  const of = (name: string) => (options[name] as string[] | undefined) ?? []
  const files = of('promptFile')
  if (files.filter((file) => file === '-').length > 1)
    throw new UsageError('standard input was given twice: it can be read once')
  const prompts: GivenPrompt[] = of('prompt').map((text) => ({ text }))
  for (const file of files) prompts.push({ text: await contents(file) })
  for (const file of of('promptIds')) prompts.push({ ids: await idsFrom(file) })
  if (!prompts.length) throw new UsageError('no text: give at least one with --prompt, --prompt-file or --prompt-ids')
  return prompts
}

async function idsFrom(path: string): Promise<number[]> {
  const text = await contents(path)
  let ids: unknown
  try {
    ids = JSON.parse(text)
  } catch (error) {
    throw new ZslabError('file', `${path} is no JSON (${(error as Error).message}): expected an array of token ids`)
  }
  if (!Array.isArray(ids))
    throw new ZslabError('file', `${path}: expected an array of token ids but found ${shown(ids)}`)
  return ids as number[]
}

/** A text file; - is standard input. */
async function contents(path: string): Promise<string> {
  let bytes: Buffer
  try {
    bytes = path === '-' ? await buffer(process.stdin) : await readFile(path)
  } catch (error) {
    throw new ZslabError('file', `cannot read ${shown(path)}: ${(error as Error).message}`, { cause: error })
  }
  const at = notUtf8(bytes)
  if (at < 0) return bytes.toString('utf8')
  const byte = `0x${bytes[at].toString(16).padStart(2, '0')}`
  throw new ZslabError(
    'file',
    `${path === '-' ? 'standard input' : shown(path)} is no UTF-8 text: found byte ${byte} at offset ${at}, expected UTF-8: convert it, for example with iconv -t UTF-8`,
  )
}

/** Offset of the first byte that begins no UTF-8 character; -1 where all do. */
function notUtf8(bytes: Buffer): number {
  if (isUtf8(bytes)) return -1
  let at = 0
  for (const part of bytes.toString('utf8').split('\ufffd')) {
    at += Buffer.byteLength(part)
    if (bytes.toString('latin1', at, at + 3) !== '\xef\xbf\xbd') return at
    at += 3 // U+FFFD stood in the file itself
  }
  return at
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
