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
    /** How many numbers of a name there are; undefined: it has none of that name. */
    private readonly size: (name: string) => number,
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
    const whole = ([name, values]: [string, unknown]) =>
      Array.isArray(values) &&
      values.length === this.size(name) &&
      values.every((value) => value === null || Number.isFinite(value))
    if (found?.format !== FORMAT || typeof found.values !== 'object' || found.values === null)
      throw this.fault('it is no file of partial results')
    if (JSON.stringify(found.about) !== JSON.stringify(this.about))
      throw this.fault('it is of another model, text or version')
    if (!Object.entries(found.values).every(whole)) throw this.fault(`its ${this.of}`)
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

/** Marks the heads that a measure was done for, where it has all of a text at once: those that have no value by then have none. */
const doneFor = (name: string) => `${name}, done`

/** Of one probe and text: [layers * heads] by measure, and what else it finds. */
export class Part {
  private readonly kept: KeptValues
  /** Nothing is left to do. */
  readonly whole: boolean

  constructor(
    folder: string,
    private readonly probe: Probe,
    private readonly work: Work,
    card: EngineCard,
  ) {
    const { ids, marks, values, more } = work
    const about = { probe: probe.name, ...probe.about?.(work), ...aboutText(card, ids) }
    const others = probe.more?.(work) ?? {}
    const size = (name: string) => others[name] ?? marks.length
    this.kept = new KeptValues(folder, probe.name, about, size, `measures are not of ${marks.length} heads`)
    const { values: before } = this.kept
    const done = (name: string) => marks.every((marked, head) => !marked || (before[doneFor(name)]?.[head] ?? 0) > 0)
    const names = Array.from(values.keys())
    this.whole =
      !probe.stepwise && names.every(done) && Object.keys(others).every((name) => Object.hasOwn(before, name))
    if (!probe.stepwise && !this.whole) return
    for (const [measure, to] of probe.derive ? [] : values)
      before[measure]?.forEach((value, head) => {
        if (value !== null && marks[head]) to[head] = value
      })
    for (const name of Object.keys(others))
      if (Object.hasOwn(before, name))
        more.set(
          name,
          Float64Array.from(before[name], (value) => value ?? NaN),
        )
  }

  /** Writes what is there, now and then. */
  tick(): void {
    if (this.probe.stepwise) this.kept.tick(() => this.collect())
  }

  /** `done`: all of the text was. */
  async save(done: boolean): Promise<void> {
    if (!done && !this.probe.stepwise) return
    this.collect()
    await this.kept.save()
  }

  private collect(): void {
    const { values: kept } = this.kept
    const { marks, values, more } = this.work
    for (const [name, found] of [...(this.probe.derive ? [] : values), ...more]) {
      const before = kept[name] as (number | null)[] | undefined
      kept[name] = Array.from(found, (value, at) => (Number.isNaN(value) ? (before?.[at] ?? null) : value))
    }
    if (this.probe.stepwise) return
    for (const name of values.keys()) {
      const before = kept[doneFor(name)] as (number | null)[] | undefined
      kept[doneFor(name)] = Array.from(marks, (marked, head) => marked || (before?.[head] ?? 0))
    }
  }
}
