/** Partial results of what takes long, one file for each text and way of measuring: what was done once is not done again. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ZslabError } from '../errors.js'
import { invalid } from '../expect.js'
import type { EngineCard } from '../trace/card.js'
import { replaceFile, unwritten } from '../trace/files/replace.js'
import type { Probe, Work } from './measure.js'

const FORMAT = 'zslab.heads.part'
const SAVE_MS = 3000

/** By name; null: not there yet. */
type Values = Record<string, (number | null)[]>

interface Kept {
  format: string
  about: Record<string, unknown>
  values: Values
}

/** What a user gives for a store. Errors: 'invalid'. */
export function folderOf(store: unknown): string {
  if (typeof store !== 'string' || !store) throw invalid('store', 'the path of a folder', store)
  return store
}

/** What results depend on: values are taken over where all of it is the same. */
export function aboutText({ model, weights, cpu, library, versions }: EngineCard, ids: Int32Array) {
  return {
    model: model.sha256,
    weights,
    isa: cpu.isa,
    library,
    version: versions.zslab,
    ids: createHash('sha256').update(Int32Array.from(ids)).digest('hex'),
  }
}

/** One file of numbers by name, `size` of them each: `of` says what for an error. */
export class KeptValues {
  private readonly path: string
  readonly values: Values
  private writing: Promise<void> | undefined
  private last = Date.now()

  constructor(
    folder: string,
    name: string,
    private readonly about: Record<string, unknown>,
    private readonly size: number,
    private readonly of: string,
  ) {
    const key = createHash('sha256').update(JSON.stringify(about)).digest('hex').slice(0, 16)
    this.path = join(folder, `${name}-${key}.json`)
    try {
      mkdirSync(folder, { recursive: true })
    } catch (error) {
      throw unwritten(folder, 'partial results', error)
    }
    this.values = this.read()
  }

  private read(): Values {
    let text: string
    try {
      text = readFileSync(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
      throw this.fault((error as Error).message)
    }
    return this.checked(text).values
  }

  private checked(text: string): Kept {
    let found: Partial<Kept> | undefined
    try {
      found = JSON.parse(text) as Partial<Kept>
    } catch (error) {
      throw this.fault((error as Error).message)
    }
    const whole = (values: unknown) =>
      Array.isArray(values) &&
      values.length === this.size &&
      values.every((value) => value === null || Number.isFinite(value))
    if (found?.format !== FORMAT || typeof found.values !== 'object' || found.values === null)
      throw this.fault('it is no file of partial results')
    if (JSON.stringify(found.about) !== JSON.stringify(this.about))
      throw this.fault('it is of another model, text or version')
    if (!Object.values(found.values).every(whole)) throw this.fault(`its ${this.of}`)
    return found as Kept
  }

  private fault(why: string): ZslabError {
    return new ZslabError('file', `${this.path} cannot be gone on from (${why}): delete it, or give another store`)
  }

  /** Writes what is there, now and then. */
  tick(collect?: () => void): void {
    if (this.writing || Date.now() - this.last < SAVE_MS) return
    collect?.()
    // A failure is told by the last save.
    this.writing = this.write()
      .catch(() => undefined)
      .finally(() => (this.writing = undefined))
  }

  async save(): Promise<void> {
    await this.writing
    await this.write()
  }

  private async write(): Promise<void> {
    this.last = Date.now()
    const kept: Kept = { format: FORMAT, about: this.about, values: this.values }
    await replaceFile(this.path, 'partial results', [JSON.stringify(kept)])
  }
}

/** Of one probe and text: [layers * heads] by measure. */
export class Part {
  private readonly kept: KeptValues

  constructor(
    folder: string,
    { name }: Probe,
    private readonly work: Work,
    card: EngineCard,
  ) {
    const { ids, tokens, rows, marks, values } = work
    const about = { probe: name, tokens, rows, ...aboutText(card, ids) }
    this.kept = new KeptValues(folder, name, about, marks.length, `measures are not of ${marks.length} heads`)
    for (const [measure, to] of values)
      this.kept.values[measure]?.forEach((value, head) => {
        if (value !== null && marks[head]) to[head] = value
      })
  }

  /** Writes what is there, now and then. */
  tick(): void {
    this.kept.tick(() => this.collect())
  }

  async save(): Promise<void> {
    this.collect()
    await this.kept.save()
  }

  private collect(): void {
    const { values } = this.kept
    for (const [name, found] of this.work.values) {
      const before = values[name] as (number | null)[] | undefined
      values[name] = Array.from(found, (value, head) => (Number.isNaN(value) ? (before?.[head] ?? null) : value))
    }
  }
}
