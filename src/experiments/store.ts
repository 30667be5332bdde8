/**
 * Trials of a study: in memory, and in a folder where there is one. What was just done is a file; when there are many they are folded into a segment,
 * which is never written again, and removed after. A process may die between any two of these: a trial that stands in both is one.
 */
import { statSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '../expect.js'
import { isPart, unwritten } from '../trace/files/replace.js'
import { readTrials, writeTrials } from './trial-files.js'
import type { Trial } from './trial.js'

const ONE = '.trial'
const MANY = '.trials'
/** So many files are folded into a segment. */
const FOLD = 64
/** Files that are read at once. */
const AT_ONCE = 32

export class TrialStore {
  private readonly byKey = new Map<string, Trial>()
  /** Of files that are to be folded, by name: those of one trial, and what is whole of broken ones. */
  private readonly loose = new Map<string, readonly Trial[]>()
  private segments = 0
  /** What processes that died had begun to write. */
  private begun = false
  /** Files that are broken, and how: what is missing of them is done again. */
  readonly faults: { path: string; why: string }[] = []

  private constructor(private readonly folder: string | undefined) {}

  /** Errors: 'file' where the folder can be neither read nor made. */
  static async open(folder: string | undefined): Promise<TrialStore> {
    const store = new TrialStore(folder)
    if (folder !== undefined) await store.read(folder)
    return store
  }

  private async read(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw unwritten(folder, 'trials', error)
    })
    const all = await namesIn(folder)
    this.begun = all.some(isPart)
    const names = all.filter(isTrials)
    for (let at = 0; at < names.length; at += AT_ONCE) {
      const some = names.slice(at, at + AT_ONCE)
      const found = await Promise.all(some.map((name) => readTrials(join(folder, name))))
      found.forEach(({ trials, fault }, i) => {
        const name = some[i]
        for (const trial of trials) this.byKey.set(trial.key, trial)
        if (name.endsWith(ONE) || fault !== undefined) this.loose.set(name, trials)
        if (fault !== undefined) this.faults.push({ path: join(folder, name), why: fault })
      })
    }
    const numbers = names.map((name) => Number(/^segment-(\d+)\.trials$/.exec(name)?.[1] ?? -1))
    this.segments = 1 + numbers.reduce((most, number) => Math.max(most, number), -1)
  }

  /** Nothing is to be folded, and nobody died while writing. */
  get tidied(): boolean {
    return !this.begun && !this.loose.size
  }

  get(key: string): Trial | undefined {
    return this.byKey.get(key)
  }

  all(): IterableIterator<Trial> {
    return this.byKey.values()
  }

  /** Errors: 'file'; it is in memory all the same. */
  async add(trial: Trial): Promise<void> {
    await this.keep(trial)
    if (this.loose.size >= FOLD) await this.fold()
  }

  /** As add(), by whoever is not the coordinator: it folds nothing. Errors: 'file'. */
  async keep(trial: Trial): Promise<void> {
    this.byKey.set(trial.key, trial)
    if (this.folder === undefined) return
    const name = trial.key + ONE
    await writeTrials(join(this.folder, name), [trial])
    this.loose.set(name, [trial])
  }

  /** Takes in what others have kept since → how many trials. By the coordinator alone. Errors: 'file'. */
  async collect(): Promise<number> {
    const { folder } = this
    if (folder === undefined) return 0
    const before = this.byKey.size
    for (const name of await namesIn(folder)) {
      if (!name.endsWith(ONE) || this.loose.has(name)) continue
      const { trials, fault } = await readTrials(join(folder, name))
      for (const trial of trials) this.byKey.set(trial.key, trial)
      if (fault === undefined) this.loose.set(name, trials)
    }
    if (this.loose.size >= FOLD) await this.fold()
    return this.byKey.size - before
  }

  /** Files of single trials, and what is whole of broken ones, become a segment, and go. By the coordinator alone. Errors: 'file'. */
  async fold(): Promise<void> {
    const { folder, loose } = this
    if (folder === undefined || !loose.size) return
    const trials = [...loose.values()].flat()
    const name = `segment-${String(this.segments).padStart(6, '0')}${MANY}`
    if (trials.length) await writeTrials(join(folder, name), trials)
    this.segments++
    await this.remove(folder, [...loose.keys()])
    loose.clear()
  }

  /** They leave it, to be done again. By the coordinator alone. Errors: 'file'. */
  async forget(keys: readonly string[]): Promise<void> {
    const gone = new Set(keys.filter((key) => this.byKey.delete(key)))
    const { folder } = this
    if (folder === undefined || !gone.size) return
    for (const name of (await namesIn(folder)).filter(isTrials)) {
      const path = join(folder, name)
      const { trials } = await readTrials(path)
      const left = trials.filter(({ key }) => !gone.has(key))
      if (left.length === trials.length) continue
      if (left.length) await writeTrials(path, left)
      else await this.remove(folder, [name])
      if (this.loose.delete(name) && left.length) this.loose.set(name, left)
    }
  }

  /** What processes that died had begun to write. By the coordinator alone. Errors: 'file'. */
  async tidy(): Promise<void> {
    const { folder } = this
    if (folder === undefined) return
    await this.remove(folder, (await namesIn(folder)).filter(isPart))
  }

  private async remove(folder: string, names: readonly string[]): Promise<void> {
    try {
      for (const name of names) await rm(join(folder, name), { force: true, recursive: true })
    } catch (error) {
      throw unwritten(folder, 'trials', error)
    }
  }
}

const isTrials = (name: string) => name.endsWith(ONE) || name.endsWith(MANY)

async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw unwritten(folder, 'trials', error)
  })
  return names.sort()
}

/** What a user gives. Errors: 'invalid'. */
export function storeFolder(given: unknown): string | undefined {
  if (given === undefined) return undefined
  if (typeof given !== 'string' || !given) throw invalid('store', 'the path of a folder', given)
  if (statSync(given, { throwIfNoEntry: false })?.isDirectory() === false)
    throw invalid('store', 'the path of a folder', given, 'a file has that name')
  return given
}
