/** Trials of a study: in memory, and in a folder where there is one, a file each, so that a process may die at any moment. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { invalid } from '../expect.js'
import { replaceFile, unwritten } from '../trace/files/replace.js'
import { checkedTrial, type Trial } from './trial.js'

const FORMAT = 'zslab.trial'
const VERSION = 1
const ENDING = '.trial.json'

export class TrialStore {
  private readonly byKey = new Map<string, Trial>()
  /** Files that were no trial, and why: what they were for is done again. */
  readonly faults: { path: string; why: string }[] = []

  private constructor(private readonly folder: string | undefined) {}

  /** Errors: 'file' where the folder can be neither read nor made. */
  static async open(folder: string | undefined): Promise<TrialStore> {
    const store = new TrialStore(folder)
    if (folder !== undefined) await store.read(folder)
    return store
  }

  private async read(folder: string): Promise<void> {
    let names: string[]
    try {
      await mkdir(folder, { recursive: true })
      names = await readdir(folder)
    } catch (error) {
      throw unwritten(folder, 'trials', error)
    }
    for (const name of names.filter((one) => one.endsWith(ENDING)).sort()) {
      const path = join(folder, name)
      try {
        const { format, version, ...found } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
        if (format !== FORMAT || version !== VERSION) throw new Error('it is no trial of this version')
        const trial = checkedTrial(found)
        if (name !== trial.key + ENDING) throw new Error('its name is of another trial')
        this.byKey.set(trial.key, trial)
      } catch (error) {
        this.faults.push({ path, why: (error as Error).message })
      }
    }
  }

  get(key: string): Trial | undefined {
    return this.byKey.get(key)
  }

  /** Errors: 'file'; it is in memory all the same. */
  async add(trial: Trial): Promise<void> {
    this.byKey.set(trial.key, trial)
    if (this.folder === undefined) return
    const content = JSON.stringify({ format: FORMAT, version: VERSION, ...trial })
    await replaceFile(join(this.folder, trial.key + ENDING), 'a trial', [content])
  }
}

/** What a user gives. Errors: 'invalid'. */
export function storeFolder(given: unknown): string | undefined {
  if (given === undefined) return undefined
  if (typeof given !== 'string' || !given) throw invalid('store', 'the path of a folder', given)
  return given
}
