/** Makes a card's figure again, call by call, with the library that it is given. */
import { createHash } from 'node:crypto'
import { ZslabError } from '../errors.js'
import { isPolicy, isStep, kindOf } from './calls.js'
import type { FigureCard } from './card.js'
import { allStatements } from './program.js'
import type { Plain, Statement } from './statements.js'

export interface Again<F> {
  figure: F
  /** Files that are not what they were, in words. */
  changed: string[]
}

type Callable = (...given: unknown[]) => unknown

/**
 * `library`: what 'zslab' exports; `place`: a path of the card on this machine; `hashOf`: of a result the SHA-256 of what it was read from.
 * Errors: 'file' for what is missing and for calls that no card has; those of the calls.
 */
export async function madeAgain(
  card: FigureCard,
  library: object,
  place: (path: string) => string,
  hashOf: (result: unknown) => Promise<string | undefined>,
): Promise<Again<unknown>> {
  if (card.missing.length) throw new ZslabError('file', `this figure cannot be made again: ${card.missing.join('; ')}`)
  const results = new Map<string, unknown>()
  const changed: string[] = []
  const resultOf = (name: string): unknown => {
    if (results.has(name)) return results.get(name)
    throw new ZslabError('file', `the card takes ${JSON.stringify(name)} from before it is made: it is damaged`)
  }
  const value = (given: Plain): unknown => {
    if (typeof given !== 'object' || given === null) return given
    if (Array.isArray(given)) return given.map(value)
    if (typeof given.$ === 'string') return resultOf(given.$)
    if (typeof given.$file === 'string') return place(given.$file)
    if (typeof given.$library === 'string') {
      if (!isPolicy(given.$library)) throw unknownCall(given.$library)
      return memberOf(library, given.$library)
    }
    return Object.fromEntries(Object.entries(given).map(([name, one]) => [name, value(one)]))
  }
  const called = (target: unknown, path: string, given: readonly unknown[]): unknown => {
    const names = path.split('.')
    const method = names.pop()!
    const owner = names.reduce(memberOf, target)
    const found = memberOf(owner, method)
    if (typeof found !== 'function') throw unknownCall(path)
    return (found as Callable).apply(owner, [...given])
  }
  const result = async ({ on, call, given }: Statement): Promise<unknown> => {
    const kind = kindOf(call)
    if (!kind || (kind.of === 'library') !== (on === undefined)) throw unknownCall(call)
    if (on === undefined) return called(library, call, given.map(value))
    return kind.gets ? memberOf(resultOf(on), call) : called(resultOf(on), call, given.map(value))
  }
  let last: unknown
  for (const statement of allStatements(card)) {
    last = await result(statement)
    results.set(statement.name, last)
    for (const { call, given, each } of statement.then ?? []) {
      if (!isStep(call)) throw unknownCall(call)
      if (!each) await called(last, call, given.map(value))
      for (const id of each ?? []) await called(last, call, [id])
    }
    const { sha256, call } = statement
    if (sha256 !== undefined && (await hashOf(last)) !== sha256)
      changed.push(`what ${call} reads is not what it was: its SHA-256 was ${sha256}`)
  }
  return { figure: last, changed }
}

/** Own members and those of classes, not of every object. */
function memberOf(owner: unknown, name: string): unknown {
  const there = typeof owner === 'object' ? owner !== null : typeof owner === 'function'
  if (!there || name in Object.prototype || !(name in (owner as object))) return undefined
  return (owner as Record<string, unknown>)[name]
}

const unknownCall = (call: string) =>
  new ZslabError(
    'file',
    `the card calls ${JSON.stringify(call)}, which this zslab does not have, or not for making figures: take a newer zslab`,
  )

/** Of numbers as CSV, as cards have it. */
export const hashOfNumbers = (csv: string): string => createHash('sha256').update(csv).digest('hex')
