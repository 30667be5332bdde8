/** What JSON.stringify(judgement) wrote, read back: damage by text, of which everything else is made again. */
import { readFile } from 'node:fs/promises'
import { ZslabError } from '../errors.js'
import { text } from '../expect.js'
import { judgedOf, type Judged, type JudgementFacts } from './judged.js'

export const FORMAT = 'zslab.judgement'
export const VERSION = 1

type SavedOrder = Pick<Judged, 'name' | 'order' | 'curve'>

interface Saved extends JudgementFacts {
  format: string
  version: number
  measures: Record<string, SavedOrder>
  random: SavedOrder
}

export interface JudgementParts {
  judged: Judged[]
  random: Judged
  facts: JudgementFacts
}

/** Errors: 'file' with what was found, or is missing. */
export async function savedJudgement(path: string): Promise<JudgementParts> {
  text('path', path)
  let saved: Partial<Saved> | null
  try {
    saved = JSON.parse(await readFile(path, 'utf8')) as typeof saved
  } catch (error) {
    throw new ZslabError('file', `cannot read ${path}: ${(error as Error).message}`)
  }
  const fault = (what: string) => new ZslabError('file', `${path} is no judgement: ${what}`)
  if (saved?.format !== FORMAT) throw fault(`expected what JSON.stringify(judgement) writes, format ${FORMAT}`)
  const { version, measures, random, ...given } = saved as Saved
  if (version !== VERSION) throw fault(`its version is ${String(version)}, and this zslab reads version ${VERSION}`)
  const facts: JudgementFacts = {
    card: given.card,
    take: given.take,
    budget: given.budget,
    policy: given.policy,
    heads: given.heads,
    count: given.count,
    texts: given.texts,
    sameTexts: given.sameTexts,
    rows: given.rows,
    seeds: given.seeds,
  }
  const texts = Array.isArray(facts.texts) ? facts.texts.length : 0
  if (!texts || !facts.card || !facts.seeds?.length) throw fault('it does not say which texts, or made by what')
  const orders = Object.values(measures ?? {})
  if (!orders.length || !random) throw fault('it has no measures, or no random orders')
  const again = ({ name, order, curve }: SavedOrder): Judged => {
    const whole =
      Array.isArray(curve) &&
      curve.length > 0 &&
      curve.every(({ perText }) => [perText?.kl, perText?.loss].every((values) => values?.length === texts))
    if (!whole) throw fault(`${name} has no damage of each of ${texts} texts`)
    const damage = facts.texts.map((_, at) =>
      curve.map(({ perText: { kl, loss } }) => ({ kl: kl[at], loss: loss[at] })),
    )
    const places = { points: curve.map(({ taken, share }) => ({ taken, share })), perLayer: 1, seed: facts.seeds[0] }
    return { ...judgedOf(name, new Int32Array(), damage, places), order }
  }
  return { judged: orders.map(again), random: again(random), facts }
}
