/** `npx zslab run`: which notebooks our kernel runs, the cell that sets parameters, what is measured anew, and the run itself. */
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Script } from 'node:vm'
import { Command, InvalidArgumentError } from 'commander'
import { shown, ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'
import { note, number, UsageError } from './common.js'
import { prepared, PYTHON } from './jupyter.js'
import { jsonIn, notebookAt, type Notebook } from './notebook-file.js'
import { RUNNER, type RunnerWords } from './notebook-runner.js'
import { program } from './scripts.js'

/** As scripts/jupyter.mjs installs it. */
const KERNEL = 'zslab'

interface RunOptions {
  output?: string
  timeout?: number
  parameters: Record<string, unknown>
  parametersFile?: string
  fresh?: boolean
}

export function runCommand(): Command {
  return new Command('run')
    .description('run a notebook headless through our kernel and write it with its outputs')
    .argument('<notebook>', 'an .ipynb file')
    .option('--output <file>', 'where the executed notebook goes (default: in place)')
    .option('--timeout <seconds>', 'most that one cell may take (default: no limit); then exit 124', seconds)
    .option('--parameters <name=value>', 'sets a parameter (JSON, else text); may be given again', parameter, {})
    .option('--parameters-file <file>', 'a JSON file with an object of parameters; --parameters go before it')
    .option('--fresh', 'measures anew what comes with the notebook: it takes minutes')
    .action(async (notebook: string, options: RunOptions) => {
      const source = resolve(notebook)
      const target = resolve(options.output ?? notebook)
      const found = notebookAt(source)
      checkKernel(source, found)
      if (options.fresh) checkFresh(source, found)
      checkTarget(target)
      const parameters = { ...parametersIn(options.parametersFile), ...options.parameters }
      if (!(await prepared())) return
      const words: RunnerWords = {
        source,
        target,
        kernel: KERNEL,
        timeout: options.timeout ?? null,
        parameters: Object.keys(parameters).length ? parametersCell(parameters) : null,
      }
      const env = {
        ...process.env,
        JUPYTER_PATH: join(projectRoot, '.venv/share/jupyter'),
        ...(options.fresh && { [FRESH]: '1' }),
      }
      await program(PYTHON, ['-c', RUNNER, JSON.stringify(words)], { env, interrupts: 'forwarded' })
    })
}

function seconds(text: string): number {
  const value = number(text)
  if (value <= 0) throw new InvalidArgumentError(`expected seconds above 0 but received ${shown(text)}`)
  return value
}

/** Throws where it is one of another language; says so where it names another kernel than ours. */
function checkKernel(path: string, { metadata: { kernelspec, language_info } }: Notebook): void {
  const word = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
  const name = word(kernelspec?.name)
  const language = word(kernelspec?.language) ?? word(language_info?.name) ?? (name && LANGUAGES[name])
  const kernel = name === undefined ? 'no kernel' : `the kernel ${shown(name)}`
  const typed = language?.toLowerCase() === 'typescript'
  if (!typed && (name ?? language) !== undefined && name !== KERNEL)
    throw new ZslabError(
      'unsupported',
      `${path} names ${kernel}${language ? ` (${language})` : ''}, and zslab runs TypeScript: run it with \`jupyter execute\`, or choose the TypeScript kernel in the notebook`,
    )
  if (name !== KERNEL) note(`zslab: ${path} names ${kernel}: its cells run in zslab's`)
}

/** Kernels of TypeScript that older notebooks name without a language. */
const LANGUAGES: Record<string, string | undefined> = { tslab: 'typescript', deno: 'typescript' }

/** What a notebook asks for whether it measures anew. No parameter: these are written into the notebook, and hold the next time. */
const FRESH = 'ZSLAB_FRESH'

/** Throws where nothing comes with the notebook that could be measured anew. */
function checkFresh(path: string, { cells = [] }: Notebook): void {
  if (!JSON.stringify(cells.map(({ source }) => source)).includes(FRESH))
    throw new UsageError(
      `--fresh: ${shown(path)} never asks for ${FRESH}: nothing comes with it that could be measured anew, so leave --fresh out`,
    )
}

/** Hours of work must not end at a folder that cannot be written. */
function checkTarget(path: string): void {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK)
  } catch {
    throw new ZslabError('file', `${shown(path)} cannot be written: choose another --output`)
  }
}

function parameter(text: string, before: Record<string, unknown>): Record<string, unknown> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(`expected name=value but received ${shown(text)}`)
  const given = text.slice(at + 1)
  let value: unknown = given
  try {
    value = JSON.parse(given)
  } catch {
    // text, then
  }
  if (/^-?\d+$/.test(given) && !Number.isSafeInteger(value))
    throw new InvalidArgumentError(`${given} is beyond what a number holds exactly: pass it as text, '"${given}"'`)
  return { ...before, [text.slice(0, at)]: value }
}

function parametersIn(file: string | undefined): object {
  if (file === undefined) return {}
  const found = jsonIn(resolve(file), 'an object of parameters')
  if (typeof found !== 'object' || found === null || Array.isArray(found))
    throw new ZslabError('file', `${file}: found ${shown(found)}, expected a JSON object of parameters`)
  return found
}

/** Declared anew with let: later cells may change them, as they may what the notebook's own cell declares. */
function parametersCell(parameters: Record<string, unknown>): string {
  const lines = Object.entries(parameters).map(([name, value]) => {
    if (!isName(name)) throw new UsageError(`--parameters: ${shown(name)} cannot be a variable's name in TypeScript`)
    return `let ${name} = ${JSON.stringify(value)}`
  })
  return ['// parameters', ...lines].join('\n')
}

function isName(text: string): boolean {
  if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(text) || text === 'await') return false
  try {
    new Script(`'use strict'; let ${text}`)
    return true
  } catch {
    return false // a reserved word
  }
}
