/** What can be compared: two runs of one model that read the same text, each with what to call it and how their cards differ. */
import { ZslabError } from '../errors.js'
import { invalid } from '../expect.js'
import type { Card } from '../trace/card.js'
import type { RunData } from '../trace/data.js'
import { idsOf, sharedLength } from './text-difference.js'

/** A run, or a trace from a file. */
export interface Comparable {
  readonly card: Card
  data(): RunData
}

export interface Compared {
  label: string
  card: Card
  data: RunData
}

/** A line of the run cards that differs; undefined: there is none of it. */
export interface SettingChange {
  name: string
  a: unknown
  b: unknown
}

type Pair = readonly [a: Compared, b: Compared]

/** Errors: 'invalid' for what is no run or trace, another model, another prompt. */
export function comparedOf(a: Comparable, b: Comparable): { sides: Pair; settings: SettingChange[] } {
  const [one, other] = [a, b].map(compared)
  checkModels([one, other])
  const settings = changedLeaves(written(one.card), written(other.card))
  const [first, second] = labelsOf([one, other], settings)
  const sides = [
    { ...one, label: first },
    { ...other, label: second },
  ] as const
  checkPrompts(sides)
  return { sides, settings }
}

function compared(given: Comparable): Compared {
  if (typeof given !== 'object' || given === null || typeof given.data !== 'function' || !('card' in given))
    throw invalid('other', 'a run or a trace', given, 'run.minus(otherRun), or run.minus(await Trace.open(path))')
  const data = given.data()
  const { budget } = data.resolved
  return { label: budget ? `${data.policyName}, ${budget} slots` : data.policyName, card: given.card, data }
}

/** As files hold it; `resolved` follows from the rest. */
const written = (card: Card): unknown => JSON.parse(JSON.stringify({ ...card, resolved: undefined }))

/** Two of one name are told apart by what their policies or seeds differ in. */
function labelsOf([a, b]: Pair, settings: readonly SettingChange[]): [string, string] {
  if (a.label !== b.label) return [a.label, b.label]
  const told = settings.find(({ name }) => /^(policy\.(.*\.)?options|sampling|seed)\b/.test(name))
  if (!told) return [`${a.label} (a)`, `${b.label} (b)`]
  const name = told.name.replace(/^.*\./, '')
  const words = (value: unknown) => (value === undefined ? `no ${name}` : `${name} ${String(value)}`)
  return [`${a.label}, ${words(told.a)}`, `${b.label}, ${words(told.b)}`]
}

function checkModels([a, b]: Pair): void {
  const [one, other] = [a.card.model, b.card.model]
  if (one.sha256 === other.sha256) return
  const same = one.file === other.file ? ', of other bytes (sha256)' : ''
  throw new ZslabError(
    'invalid',
    `runs of two models have no heads in common: ${one.file} and ${other.file}${same}; compare runs of one model`,
  )
}

function checkPrompts([a, b]: Pair): void {
  const [one, other] = [a, b].map(({ data }) => data.tokens.filter(({ prompt }) => prompt))
  const shared = sharedLength(idsOf(one), idsOf(other))
  const [first, second] = [a.data.promptTokens, b.data.promptTokens]
  if (shared === one.length && shared === other.length && first === second) return
  const differ = () => {
    if (shared < Math.min(one.length, other.length)) {
      const [x, y] = [one, other].map((tokens) => JSON.stringify(tokens[shared].text))
      return `the token at position ${shared} is ${x} in a (${a.label}) and ${y} in b (${b.label})`
    }
    if (one.length !== other.length)
      return `a (${a.label}) read ${one.length} tokens before it wrote and b (${b.label}) ${other.length}, alike as far as they go`
    return `of the same ${shared} tokens a (${a.label}) read ${first} as its first prompt, b (${b.label}) ${second}`
  }
  throw new ZslabError('invalid', `these runs do not share a prompt: ${differ()}; compare runs that read the same text`)
}

/** Leaves of two plain objects that are not the same, by path. */
function changedLeaves(a: unknown, b: unknown, path: string[] = []): SettingChange[] {
  const branch = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
  if (!branch(a) || !branch(b)) return Object.is(a, b) ? [] : [{ name: path.join('.'), a, b }]
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])]
  return names.flatMap((name) => changedLeaves(a[name], b[name], [...path, name]))
}
