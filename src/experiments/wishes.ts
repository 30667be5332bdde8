/** What is asked of a study from outside, through a file of its folder: to wait, to end, to leave trials out, to do some again. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { shown, ZslabError } from '../errors.js'
import { replaceFile, unwritten } from '../trace/files/replace.js'

/** Trials by what stands in their policy's call and by their prompt's name, or by one of them; by neither: all. */
export interface Which {
  policy?: string
  prompt?: string
}

export interface Wishes {
  paused: boolean
  /** Whoever runs it ends; the next run takes it back. */
  stopped: boolean
  /** Not to be done, unless they are. */
  cancelled: readonly Which[]
  /** Keys of trials that are to be done again. */
  requeued: readonly string[]
}

const NONE: Wishes = { paused: false, stopped: false, cancelled: [], requeued: [] }
const FILE = 'asked.json'

/** A broken file asks for nothing. */
export async function wishesOf(folder: string | undefined): Promise<Wishes> {
  if (folder === undefined) return NONE
  try {
    const found = JSON.parse(await readFile(join(folder, FILE), 'utf8')) as Partial<Wishes>
    return { ...NONE, ...found }
  } catch {
    return NONE
  }
}

/** One after another, whoever asks. Errors: 'file'. */
export async function changeWishes(folder: string, change: (wishes: Wishes) => Partial<Wishes>): Promise<void> {
  const path = join(folder, FILE)
  // The file's own lock: that of the folder is another, and the library tells locks apart by what they are of.
  const release = await lockfile
    .lock(path, { realpath: false, retries: { retries: 20, minTimeout: 20, maxTimeout: 200 } })
    .catch((error: unknown) => {
      throw unwritten(folder, 'what is asked of the study', error)
    })
  try {
    const before = await wishesOf(folder)
    const after = { ...before, ...change(before) }
    await replaceFile(path, 'what is asked of the study', [JSON.stringify(after)])
  } finally {
    await release().catch(() => undefined)
  }
}

export const isWhich = ({ policy, prompt }: Which, trial: { policy: string; prompt: string }): boolean =>
  (policy === undefined || trial.policy.includes(policy)) && (prompt === undefined || trial.prompt === prompt)

export const stoppedFromOutside = (folder: string) =>
  new DOMException(`the study in ${shown(folder)} was told to stop: what is done is kept`, 'AbortError')

export const noStudy = (folder: string) =>
  new ZslabError('file', `${shown(folder)} holds no study: expected the folder that a study was given as its store`)
