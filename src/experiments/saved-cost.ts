/** What cost.save('cost.json') wrote, read back. */
import { readSaved } from '../inspect/saved-json.js'
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

type Check = (value: unknown) => boolean
const number: Check = (value) => Number.isFinite(value)
const whole = (least: number) => (value: unknown) => Number.isInteger(value) && (value as number) >= least
const word: Check = (value) => typeof value === 'string'
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
const some =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length > 0 && value.every(check)
const fields =
  (checks: Record<string, Check>): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(checks).every(([name, check]) => check((value as Record<string, unknown>)[name]))

const interval = fields({ mean: number, low: orNull(number), high: orNull(number) })
const cache = fields({
  policy: word,
  parts: some(fields({ part: word, about: word, step: interval })),
  step: interval,
  prompt: orNull(interval),
  bytes: number,
})
const FACTS: Record<keyof CostFacts, Check> = {
  name: word,
  policy: word,
  storage: word,
  steps: whole(1),
  turns: whole(1),
  prompts: whole(0),
  seed: whole(0),
  weights: number,
}
const LENGTH: Record<keyof CostAt, Check> = {
  length: whole(1),
  full: cache,
  policy: cache,
  upkeep: orNull(interval),
  gain: interval,
  gainByBytes: number,
  promptMore: orNull(interval),
  tokens: orNull(whole(0)),
}
const card = fields({
  model: fields({ name: word }),
  cpu: fields({ isa: word }),
  device: fields({ kind: word }),
  threads: whole(1),
})
const turns = fields({ always: whole(0), crossing: whole(0), never: whole(0) })

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
  if (!some(fields(LENGTH))(lengths)) throw fault('it has no lengths, or not all of one’s times, bytes and intervals')
  if (lengths.some(({ length }, i) => i > 0 && length <= lengths[i - 1].length))
    throw fault('its lengths do not ascend')
  if (!fields({ length: orNull(interval), turns })(breakEven)) throw fault('it does not say where it pays')
  if (!some(card)(cards)) throw fault('it does not say made by what')
  return { facts, lengths, breakEven, cards }
}
