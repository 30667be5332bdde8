/** What JSON.stringify(judgement) wrote, read back: damage by text, of which everything else is made again. */
import { readSaved } from '../inspect/saved-json.js'
import { isCard, savedTexts } from './saved.js'
import { judgedOf, RANDOM, type Judged, type JudgementFacts } from './judged.js'

export const FORMAT = 'zslab.judgement'
export const VERSION = 1

type SavedOrder = Pick<Judged, 'name' | 'order' | 'curve'>

interface Saved extends JudgementFacts {
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
  const { saved, fault } = await readSaved(path, {
    what: 'judgement',
    by: 'JSON.stringify(judgement)',
    format: FORMAT,
    version: VERSION,
  })
  const { measures, random, ...given } = saved as unknown as Saved
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
  const numbers = (values: unknown, length: number, least = -Infinity) =>
    Array.isArray(values) &&
    values.length === length &&
    values.every((value) => Number.isFinite(value) && value >= least)
  if (!savedTexts(facts.texts, 1) || !isCard(facts.card)) throw fault('it does not say which texts, or made by what')
  const texts = facts.texts.length
  if (!Array.isArray(facts.seeds) || !facts.seeds.length || !numbers(facts.seeds, facts.seeds.length, 0))
    throw fault('it does not say from which seeds')
  const ways: Record<string, unknown> = { ablate: 'query', compress: 'kv' }
  const compresses = facts.take === 'compress'
  if (ways[String(facts.take)] !== facts.heads || !facts.heads || !numbers([facts.rows, facts.count], 2, 1))
    throw fault('it does not say what was done to how many heads')
  if (compresses ? typeof facts.policy !== 'string' || !numbers([facts.budget], 1, 0) : facts.budget !== null)
    throw fault('it does not say by which policy at which budget')
  const orders = Object.entries(measures ?? {})
  if (!orders.length || !random) throw fault('it has no measures, or no random orders')
  const again = (saved: SavedOrder, called: string): Judged => {
    const { name, order, curve } = saved ?? {}
    if (name !== called) throw fault(`${called} is called otherwise in itself`)
    const whole =
      Array.isArray(curve) &&
      curve.length > 0 &&
      curve.every(
        (point: SavedOrder['curve'][number] | null) =>
          point &&
          numbers([point.taken, point.share], 2, 0) &&
          [point.perText?.kl, point.perText?.loss].every((values) => numbers(values, texts)),
      )
    if (!whole) throw fault(`${name} has no damage of each of ${texts} texts`)
    const ordered =
      Array.isArray(order) &&
      order.every((head: SavedOrder['order'][number] | null) => head && numbers([head.layer, head.head], 2, 0))
    if (!ordered) throw fault(`${name} has no order of heads`)
    const damage = facts.texts.map((_, at) =>
      curve.map(({ perText: { kl, loss } }) => ({ kl: kl[at], loss: loss[at] })),
    )
    const places = { points: curve.map(({ taken, share }) => ({ taken, share })), perLayer: 1, seed: facts.seeds[0] }
    return { ...judgedOf(name, new Int32Array(), damage, places), order }
  }
  return { judged: orders.map(([name, one]) => again(one, name)), random: again(random, RANDOM), facts }
}
