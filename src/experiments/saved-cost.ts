/** What cost.save('cost.json') wrote, read back. */
import { readSaved } from '../inspect/saved-json.js'
import { isList, isNumber, isObject, isWhole, isWord, orNull, type Check } from '../shapes.js'
import type { EngineCard } from '../trace/card.js'
import type { CostAt, CostBreakEven, CostFacts } from './cost-facts.js'

export const FORMAT = 'zslab.cost'
export const VERSION = 1

export interface CostParts {
  facts: CostFacts
  lengths: CostAt[]
  breakEven: CostBreakEven
  cards: EngineCard[]
}

const interval = isObject({ mean: isNumber, low: orNull(isNumber), high: orNull(isNumber) })
const cache = isObject({
  policy: isWord,
  parts: isList(isObject({ part: isWord, about: isWord, step: interval }), 1),
  step: interval,
  prompt: orNull(interval),
  bytes: isNumber,
})
const FACTS: Record<keyof CostFacts, Check> = {
  name: isWord,
  policy: isWord,
  storage: isWord,
  steps: isWhole(1),
  turns: isWhole(1),
  prompts: isWhole(0),
  seed: isWhole(0),
  weights: isNumber,
}
const LENGTH: Record<keyof CostAt, Check> = {
  length: isWhole(1),
  full: cache,
  policy: cache,
  upkeep: orNull(interval),
  gain: interval,
  gainByBytes: isNumber,
  promptMore: orNull(interval),
  tokens: orNull(isWhole(0)),
}
const card = isObject({
  model: isObject({ name: isWord }),
  cpu: isObject({ isa: isWord }),
  device: isObject({ kind: isWord }),
  threads: isWhole(1),
})
const turns = isObject({ always: isWhole(0), crossing: isWhole(0), never: isWhole(0) })

/** Errors: 'file' with what was found, or is missing. */
export async function savedCost(path: string): Promise<CostParts> {
  const { saved, fault } = await readSaved(path, {
    what: 'measured cost',
    by: "cost.save('cost.json')",
    format: FORMAT,
    version: VERSION,
  })
  const bad = Object.entries(FACTS).find(([name, check]) => !check(saved[name]))
  if (bad) throw fault(`it does not say its ${bad[0]}`)
  const facts = Object.fromEntries(Object.keys(FACTS).map((name) => [name, saved[name]])) as unknown as CostFacts
  const { lengths, breakEven, cards } = saved as unknown as CostParts
  if (!isList(isObject(LENGTH), 1)(lengths))
    throw fault('it has no lengths, or not all of one’s times, bytes and intervals')
  if (lengths.some(({ length }, i) => i > 0 && length <= lengths[i - 1].length))
    throw fault('its lengths do not ascend')
  if (!isObject({ length: orNull(interval), turns })(breakEven)) throw fault('it does not say where it pays')
  if (!isList(card, 1)(cards)) throw fault('it does not say made by what')
  return { facts, lengths, breakEven, cards }
}
