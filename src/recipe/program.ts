/** A card as a program that makes its figure again: short TypeScript, to be read, kept and changed. */
import { inspect } from 'node:util'
import { kindOf } from './calls.js'
import type { FigureCard } from './card.js'
import type { Plain, Statement } from './statements.js'

/** The call of the figure itself, after those of its input. */
export function allStatements({ figure, of, options, part, input }: FigureCard): Statement[] {
  const names = new Set(input.map(({ name }) => name))
  const name = names.has('figure') ? 'whole' : 'figure'
  const made: Statement = { name, call: `figures.${figure}`, given: [...of, options] }
  return part ? [...input, made, { name: 'shown', on: name, call: 'part', given: [part] }] : [...input, made]
}

/** `place`: a path of the card from where the program runs. `to`: what the figure is saved as. */
export function programOf(card: FigureCard, place: (path: string) => string, to: string): string {
  const statements = allStatements(card)
  const words = (given: readonly Plain[]) =>
    trimmed(given)
      .map((one) => written(one, place))
      .join(', ')
  const lines = statements.flatMap(({ name, on, call, given, then = [], sha256 }) => {
    const kind = kindOf(call)
    const target = `${on === undefined ? '' : `${on}.`}${call}`
    const value = kind?.gets ? target : `${target}(${words(given)})`
    const steps = then.map((step) =>
      step.each
        ? `for (const id of ${written(step.each, place)}) await ${name}.${step.call}(id)`
        : `await ${name}.${step.call}(${words(step.given)})`,
    )
    const hash = sha256 === undefined ? [] : [`// its SHA-256 was ${sha256}`]
    return [...hash, `const ${name} = ${kind?.waits ? 'await ' : ''}${value}`, ...steps]
  })
  const used = statements.flatMap(({ on, call, given }) => [
    ...(on === undefined ? [call.split('.')[0]] : []),
    ...functionsIn(given),
  ])
  const last = statements[statements.length - 1].name
  return [
    ...card.missing.map((what) => `// not known: ${what}`),
    `import { ${[...new Set(used)].sort().join(', ')} } from 'zslab'`,
    '',
    ...lines,
    `await ${last}.save(${written(to, place)}, ${written(card.style, place)})`,
    '',
  ].join('\n')
}

const functionsIn = (value: Plain): string[] => {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(functionsIn)
  return typeof value.$library === 'string' ? [value.$library] : Object.values(value).flatMap(functionsIn)
}

/** Without empty options at the end. */
function trimmed(given: readonly Plain[]): readonly Plain[] {
  const last = given[given.length - 1]
  const empty = typeof last === 'object' && last !== null && Object.keys(last).length === 0 && !Array.isArray(last)
  return empty ? given.slice(0, -1) : given
}

/** A name that stands for itself among values. */
class Word {
  constructor(private readonly word: string) {}

  [inspect.custom](): string {
    return this.word
  }
}

const LOOKS = {
  depth: Infinity,
  maxArrayLength: Infinity,
  maxStringLength: Infinity,
  breakLength: 110,
  compact: 10,
} as const

const written = (value: Plain, place: (path: string) => string): string => inspect(named(value, place), LOOKS)

function named(value: Plain, place: (path: string) => string): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((one) => named(one, place))
  for (const word of [value.$, value.$library]) if (typeof word === 'string') return new Word(word)
  if (typeof value.$file === 'string') return place(value.$file)
  if (typeof value.$missing === 'string') return new Word('undefined')
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, named(one, place)]))
}
