/** Partial results of measures that take long, one file for each text and way of measuring: what was done once is not done again. */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ZslabError } from '../errors.js'
import type { EngineCard } from '../trace/card.js'
import { replaceFile, unwritten } from '../trace/files/replace.js'
import type { Probe, Work } from './measure.js'

const FORMAT = 'zslab.heads.part'
const SAVE_MS = 3000

interface Kept {
  format: string
  about: Record<string, unknown>
  /** [layers * heads] by measure; null: not there yet. */
  values: Record<string, (number | null)[]>
}

/** Of one probe and text, in one file. Values are taken over where everything that they depend on is the same. */
export class Part {
  private readonly path: string
  private readonly about: Record<string, unknown>
  private kept: Record<string, (number | null)[]> = {}
  private writing: Promise<void> | undefined
  private last = Date.now()

  constructor(
    folder: string,
    { name }: Probe,
    private readonly work: Work,
    card: EngineCard,
  ) {
    const { ids, tokens, rows } = work
    this.about = {
      probe: name,
      model: card.model.sha256,
      weights: card.weights,
      isa: card.cpu.isa,
      library: card.library,
      version: card.versions.zslab,
      tokens,
      rows,
      ids: createHash('sha256').update(Int32Array.from(ids)).digest('hex'),
    }
    const key = createHash('sha256').update(JSON.stringify(this.about)).digest('hex').slice(0, 16)
    this.path = join(folder, `${name}-${key}.json`)
    try {
      mkdirSync(folder, { recursive: true })
    } catch (error) {
      throw unwritten(folder, 'partial results', error)
    }
    this.read()
  }

  private read(): void {
    let text: string
    try {
      text = readFileSync(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw this.fault((error as Error).message)
    }
    this.kept = this.checked(text).values
    for (const [name, to] of this.work.values)
      this.kept[name]?.forEach((value, head) => {
        if (value !== null && this.work.marks[head]) to[head] = value
      })
  }

  private checked(text: string): Kept {
    let found: Partial<Kept> | undefined
    try {
      found = JSON.parse(text) as Partial<Kept>
    } catch (error) {
      throw this.fault((error as Error).message)
    }
    const size = this.work.marks.length
    const whole = (values: unknown) =>
      Array.isArray(values) &&
      values.length === size &&
      values.every((value) => value === null || typeof value === 'number')
    if (found?.format !== FORMAT || typeof found.values !== 'object' || found.values === null)
      throw this.fault('it is no file of partial results')
    if (JSON.stringify(found.about) !== JSON.stringify(this.about))
      throw this.fault('it is of another model, text or version')
    if (!Object.values(found.values).every(whole)) throw this.fault(`its measures are not of ${size} heads`)
    return found as Kept
  }

  private fault(why: string): ZslabError {
    return new ZslabError('file', `${this.path} cannot be gone on from (${why}): delete it, or give another store`)
  }

  /** Writes what is there, now and then. */
  tick(): void {
    if (this.writing || Date.now() - this.last < SAVE_MS) return
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
    for (const [name, values] of this.work.values) {
      const before = this.kept[name]
      this.kept[name] = Array.from(values, (value, head) => (Number.isNaN(value) ? (before?.[head] ?? null) : value))
    }
    const kept: Kept = { format: FORMAT, about: this.about, values: this.kept }
    await replaceFile(this.path, 'partial results', [JSON.stringify(kept)])
  }
}
