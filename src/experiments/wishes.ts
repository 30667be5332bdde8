/** What is asked of a study from outside, through a file of its folder: to wait, to end, to leave trials out, to do some again. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { shown, ZslabError } from '../errors.js'
import { isFlag, isList, isObject, isWord, maybe } from '../shapes.js'
import { replaceFile, unwritten } from '../trace/files/replace.js'

/** Trials by what stands in their policy's call (whole words: 'alpha: 0' is not in 'alpha: 0.5') and by their prompt's name, or by one of them; by neither: all. */
export interface Which {
  policy?: string
  prompt?: string
}

/** What was asked of trials; of several that are of the same one the last counts. */
export interface Cancelled extends Which {
  /** They are to be done after all. */
  back?: true
}

export interface Wishes {
  paused: boolean
  /** Whoever runs it ends; the next run takes it back. */
  stopped: boolean
  /** Not to be done, unless they are; in the order in which that was asked. */
  cancelled: readonly Cancelled[]
  /** Keys of trials that are to be done again. */
  requeued: readonly string[]
}

export const NOTHING_ASKED: Wishes = { paused: false, stopped: false, cancelled: [], requeued: [] }
const FILE = 'asked.json'
const isWishes = isObject({
  paused: isFlag,
  stopped: isFlag,
  cancelled: isList(isObject({ policy: maybe(isWord), prompt: maybe(isWord) })),
  requeued: isList(isWord),
})

/** A broken file asks for nothing. */
export async function wishesOf(folder: string | undefined): Promise<Wishes> {
  if (folder === undefined) return NOTHING_ASKED
  try {
    const found = { ...NOTHING_ASKED, ...JSON.parse(await readFile(join(folder, FILE), 'utf8')) } as Wishes
    return isWishes(found) ? found : NOTHING_ASKED
  } catch {
    return NOTHING_ASKED
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

interface Named {
  policy: string
  prompt: string
}

export const isWhich = ({ policy, prompt }: Which, trial: Named): boolean =>
  (policy === undefined || hasWords(trial.policy, policy)) && (prompt === undefined || trial.prompt === prompt)

export const isCancelled = (cancelled: readonly Cancelled[], trial: Named): boolean => {
  const last = cancelled.findLast((which) => isWhich(which, trial))
  return last !== undefined && !last.back
}

/** What was asked with one thing more; what that says otherwise of all its trials is over. */
export function alsoAsked(cancelled: readonly Cancelled[], more: Cancelled): readonly Cancelled[] {
  const covered = ({ policy, prompt }: Which) =>
    (more.policy === undefined || (policy !== undefined && hasWords(policy, more.policy))) &&
    (more.prompt === undefined || prompt === more.prompt)
  const left = cancelled.filter((one) => !covered(one))
  return !more.back || left.some(({ back }) => !back) ? [...left, more] : []
}

/** Not as parts of longer words or numbers. */
function hasWords(call: string, words: string): boolean {
  const edge = /[\w.]/
  for (let at = call.indexOf(words); at >= 0; at = call.indexOf(words, at + 1)) {
    const inside = [at, at + words.length].some((cut) => edge.test(call[cut - 1] ?? '') && edge.test(call[cut] ?? ''))
    if (!inside) return true
  }
  return false
}

export const stoppedFromOutside = (folder: string) =>
  new DOMException(`the study in ${shown(folder)} was told to stop: what is done is kept`, 'AbortError')

export const noStudy = (folder: string) =>
  new ZslabError('file', `${shown(folder)} holds no study: expected the folder that a study was given as its store`)
