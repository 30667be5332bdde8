/** What loading the default model takes, and what is resident after a prompt, in plain Node processes (plain.mjs), beside llama.cpp's. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectRoot } from '../../src/native/binding.js'
import { stepBytes } from './ceiling.js'
import type { Setting } from './setting.js'
import { inTurns, rowText, type Contender, type Taken } from './turns.js'

interface Found {
  loadMs: number
  /** Resident bytes: all, of them pages of files and the rest, and the most at any time. */
  all: number
  files: number
  anonymous: number
  most: number
}

const SCRIPT = fileURLToPath(new URL('./plain.mjs', import.meta.url))
const BUILT = join(projectRoot, 'dist/src/index.js')

export async function loading(setting: Setting): Promise<void> {
  const contenders = await processes(setting, new Int32Array(0))
  const [ours, ...theirs] = contenders.map(({ name, ask }) => ({ name, ask: async () => (await ask()).loadMs }))
  const bytes = [(await setting.model('default')).file.gguf.bytes]
  await setting.compare({ title: 'load, default file', digits: 0, ours: [ours], theirs, bytes, warm: 1 })
}

export async function memory(setting: Setting): Promise<void> {
  const ids = await setting.prompt('1k')
  const taken = await inTurns(setting.options.turns, await processes(setting, ids), 1)
  const least = (stepBytes(await setting.model('default'), ids.length) / 1e6).toFixed(0)
  console.log(
    `a plain Node process after a prompt of 1k, default file; weights and cache, two bytes a number: ${least} MB`,
  )
  print(taken, 'resident', 'MB', ({ all }) => all / 1e6)
  print(taken, 'of it pages of files', 'MB', ({ files }) => files / 1e6)
  print(taken, 'of it the rest', 'MB', ({ anonymous }) => anonymous / 1e6)
  print(taken, 'the most at any time', 'MB', ({ most }) => most / 1e6)
}

/** A process a turn. The first of each fills the file system's cache: it must not count. */
async function processes(setting: Setting, ids: Int32Array): Promise<Contender<Found>[]> {
  if (!existsSync(BUILT)) throw new Error('dist/ is not built: node scripts/build.mjs')
  const { path } = (await setting.model('default')).file
  const { threads, weights } = setting.options
  const contender = (name: string, words: string[]): Contender<Found> => ({
    name,
    ask: () => run([...words, path, String(threads), weights ?? '', ids.join(',')]),
  })
  const contenders = [contender('zslab', ['zslab', BUILT])]
  const peer = llamaModule()
  if (peer) contenders.push(contender('llama.cpp', ['llama', peer]))
  return contenders
}

function llamaModule(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('node-llama-cpp')
  } catch {
    return undefined
  }
}

async function run(words: string[]): Promise<Found> {
  const child = spawn(process.execPath, [SCRIPT, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => (text += chunk))
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (status !== 0) throw new Error(`${words[0]} in a process of its own ended with ${status}`)
  return JSON.parse(text.trim().split('\n').at(-1)!) as Found
}

function print(taken: Taken<Found>[], title: string, unit: string, of: (found: Found) => number): void {
  const [ours, ...theirs] = taken.map(({ name, values }) => ({ name, values: values.map(of) }))
  console.log(`${rowText({ title, unit, digits: 0, ours, theirs })}\n`)
}
