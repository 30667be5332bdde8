/** What the folder of a study says without model and task: what it is, how far it is, who runs it. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shown, ZslabError } from '../errors.js'
import { isList, isObject, isWord } from '../shapes.js'
import { meanOf } from '../statistics/moments.js'
import { whoRuns, type Coordinator } from './coordinator.js'
import { stateOf, type StudyState } from './state.js'
import { TrialStore } from './store.js'
import { valueOf } from './trial.js'
import type { StudyFacts } from './study-facts.js'
import { alsoAsked, changeWishes, isWhich, noStudy, wishesOf, type Which, type Wishes } from './wishes.js'

/** What study.json says. */
export type FolderFacts = StudyFacts & { metric: string }

export interface Outline {
  folder: string
  facts: FolderFacts
  /** Null: it has never run. */
  state: StudyState | null
  /** Null: nobody does, whatever `state` says. */
  running: Coordinator | null
  asked: Wishes
  /** By policy, of all that the folder has: also of other designs that were run there. */
  settings: readonly SettingOutline[]
}

export interface SettingOutline {
  policy: string
  done: number
  failed: number
  unchanged: number
  /** Mean of the study's first metric; null: nothing was measured. */
  mean: number | null
}

/** How deep studies are looked for. */
const DEPTH = 3
const STUDY = 'study.json'

/** Errors: 'file' where there is none. */
export async function outlineOf(folder: string): Promise<Outline> {
  const facts = await factsOf(folder)
  const store = await TrialStore.open(folder)
  const byPolicy = new Map<string, { done: number; failed: number; unchanged: number; values: number[] }>()
  for (const trial of store.all()) {
    const { policy, values, unchanged } = trial
    const own = byPolicy.get(policy) ?? { done: 0, failed: 0, unchanged: 0, values: [] }
    own.done++
    if (values === null) own.failed++
    else if (unchanged) own.unchanged++
    else if (Number.isFinite(valueOf(trial, facts.metric))) own.values.push(valueOf(trial, facts.metric))
    byPolicy.set(policy, own)
  }
  return {
    folder,
    facts,
    state: (await stateOf(folder)) ?? null,
    running: (await whoRuns(folder)) ?? null,
    asked: await wishesOf(folder),
    settings: [...byPolicy].map(([policy, { values, ...counts }]) => ({
      policy,
      ...counts,
      mean: values.length ? meanOf(values) : null,
    })),
  }
}

export interface OutlinesBelow {
  outlines: readonly Outline[]
  /** What is wrong with studies that are not among them. */
  faults: readonly string[]
}

/** Studies in `folder` and below, by their paths. Errors: 'file' where it cannot be read. */
export async function outlinesBelow(folder: string): Promise<OutlinesBelow> {
  const ended = await Promise.allSettled((await studiesBelow(folder, DEPTH)).map(outlineOf))
  return {
    outlines: ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    faults: ended.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : [])),
  }
}

async function studiesBelow(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw unread(folder, error as Error)
  })
  if (entries.some(({ name }) => name === STUDY)) return [folder]
  if (!depth) return []
  const folders = entries.filter((one) => one.isDirectory() && !/^(\.|node_modules$)/.test(one.name))
  const found: string[] = []
  for (const { name } of folders.sort((a, b) => (a.name < b.name ? -1 : 1)))
    found.push(...(await studiesBelow(join(folder, name), depth - 1).catch(() => [])))
  return found
}

/** Cancelled trials are due again, and failed ones are to be done again → how many failed. Errors: 'file'. */
export async function requeue(folder: string, which: Which): Promise<number> {
  await outlineOf(folder)
  const failed = [...(await TrialStore.open(folder)).all()].filter(
    ({ values, policy, prompt }) => values === null && isWhich(which, { policy, prompt: prompt.name }),
  )
  await changeWishes(folder, ({ cancelled, requeued }) => ({
    cancelled: alsoAsked(cancelled, { ...which, back: true }),
    requeued: [...new Set([...requeued, ...failed.map(({ key }) => key)])],
  }))
  return failed.length
}

const isFacts = isObject({
  task: isObject({ name: isWord, about: isWord }),
  policies: isList(isWord),
  over: isObject({}),
  metric: isWord,
})

async function factsOf(folder: string): Promise<FolderFacts> {
  const path = join(folder, STUDY)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') throw noStudy(folder)
    throw unread(path, error)
  })
  try {
    const found = JSON.parse(text) as FolderFacts
    if (isFacts(found)) return found
  } catch {
    // Said below.
  }
  throw new ZslabError(
    'file',
    `${shown(path)} is broken: run the study again, which writes it anew; its trials are kept`,
  )
}

const unread = (path: string, error: Error) =>
  new ZslabError('file', `${shown(path)} cannot be read: ${error.message}`, { cause: error })
