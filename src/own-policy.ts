/** definePolicy: a user's own policy, asked once per layer and step for all heads together. */
import { flag, invalid, oneOf, options as checked } from './expect.js'
import { shown, ZslabError } from './errors.js'
import { kept } from './native/hook-errors.js'
import { budget, chunk, history, historyParameters, type HistoryOptions } from './policies/options.js'
import { define, makePolicy, type Policy } from './policies/policy.js'

/** One kv head that holds more slots than its budget; arrays by slot, the newest token last. */
export interface OwnHead {
  kvHead: number
  /** Slots in use, the new token included, and how many of them have to leave. */
  slots: number
  excess: number
  budget: number
  /** [slots] places in the text. */
  positions: Int32Array
  /** [slots] decayed sums of attention as `scores` asks for them; zeros without. */
  scores: Float32Array
  /** [slots, headDim], where asked for. */
  keys: Float32Array | undefined
  values: Float32Array | undefined
}

export interface OwnView<O> {
  layer: number
  /** 0 = the prompt. */
  step: number
  /** Of the newest token. */
  position: number
  headDim: number
  heads: OwnHead[]
  options: Readonly<O>
}

export interface OwnDefinition<O extends object = object> {
  name: string
  about?: string
  /** Default of the budget: slots per kv head (≥ 1) or share of the first prompt (< 1); default 0.2. */
  budget?: number
  /** What the core keeps up for you: decayed sums of attention, of the prompt's last `window` rows and every later token. */
  scores?: { decay?: number; window?: HistoryOptions['window'] }
  /** Have keys or values told, which are then copied at every call. */
  keys?: boolean
  values?: boolean
  /** 'always' (default): whenever a head is full. 'prompt': once, when the prompt has been read. */
  acts?: 'prompt' | 'always'
  /** Options of your own with their defaults, given to the hook as view.options. */
  options?: O
  /**
   * Who leaves: for each head (in order of view.heads) `excess` different slots. Called once per layer after a prompt longer than the
   * budget, then for every token that comes to a full cache; what leaves is dropped.
   */
  evict(view: OwnView<O>): readonly ArrayLike<number>[]
  /** BibTeX. */
  citation?: string
}

/** What definePolicy gives: a function that makes policies, with budget, chunk and your own options. */
export type OwnPolicy<O> = (options?: Partial<O> & { budget?: number; chunk?: number }) => Policy

const NAMES = ['name', 'about', 'budget', 'scores', 'keys', 'values', 'acts', 'options', 'evict', 'citation']

/**
 * A policy of your own: traced, checked by the receipt and comparable like the built-in ones. An error in `evict` ends the call with that
 * error, its place in your code included, and the cache is as it was. Errors: 'invalid' for a definition that makes no sense.
 */
export function definePolicy<O extends object = object>(definition: OwnDefinition<O>): OwnPolicy<O> {
  if (definition === undefined) throw invalid('definePolicy', 'an object', definition)
  checked('definePolicy', definition, NAMES)
  const { name, scores, evict } = definition
  if (typeof name !== 'string' || !/^[\w-]{1,40}$/.test(name))
    throw invalid('name', 'a word of letters, digits and dashes', name)
  if (typeof evict !== 'function') throw invalid('evict', 'a function that says who leaves', evict)
  if (scores !== undefined) checked('scores', scores, ['decay', 'window'])
  const own = definition.options ?? ({} as O)
  const told = {
    decay: history.decay.check(scores?.decay ?? 0.98) as number,
    history: scores ? ('on' as const) : ('off' as const),
    window: history.window.check(scores?.window ?? 'auto') as HistoryOptions['window'],
  }
  const acts = oneOf('acts', definition.acts ?? 'always', ['prompt', 'always'])
  const [keys, values] = [flag('keys', definition.keys ?? false), flag('values', definition.values ?? false)]
  const free = Object.fromEntries(
    Object.keys(own).map((key) => [
      key,
      { about: `an option of ${name}`, unit: '–', check: (value: unknown) => value },
    ]),
  )
  const made = define<Record<string, unknown>>({
    name,
    native: 'own',
    about: definition.about ?? 'a policy of your own',
    options: { budget, chunk, ...free },
    presets: { '': { budget: budget.check(definition.budget ?? 0.2), chunk: 256, ...own } },
    parameters: {
      choose: ['int64', () => 0],
      context: ['int64', () => 0],
      decay: ['float32', () => historyParameters.decay[1](told, '')],
      history: ['int32', () => historyParameters.history[1](told, '')],
      window: ['int32', () => historyParameters.window[1](told, '')],
      acts: ['int32', () => (acts === 'prompt' ? 1 : 2)],
      keys: ['int32', () => Number(keys)],
      values: ['int32', () => Number(values)],
    },
    choose: (options) => kept((...asked: Asked) => answered(name, evict, options as O, asked)),
    citation: definition.citation ?? `@misc{${name},\n  title = {${name}}\n}`,
  })
  return (options = {}) => makePolicy(made, options)
}

type Asked = [
  layer: number,
  step: number,
  headDim: number,
  slots: Int32Array,
  excess: Int32Array,
  positions: Int32Array,
  scores: Float32Array,
  keys: Float32Array | undefined,
  values: Float32Array | undefined,
]

/** Slots of all heads that leave, as `evict` says, checked. */
function answered<O extends object>(
  name: string,
  evict: OwnDefinition<O>['evict'],
  options: O,
  [layer, step, headDim, slots, excess, positions, scores, keys, values]: Asked,
): Int32Array {
  let from = 0
  const heads = Array.from(slots, (count, kvHead): OwnHead => {
    const to = from + count
    const part = (of: Float32Array | undefined) => of?.subarray(from * headDim, to * headDim)
    const head = {
      kvHead,
      slots: count,
      excess: excess[kvHead],
      budget: count - excess[kvHead],
      positions: positions.subarray(from, to),
      scores: scores.subarray(from, to),
      keys: part(keys),
      values: part(values),
    }
    from = to
    return head
  })
  // The newest token is a head's last slot.
  const position = heads[0].positions[heads[0].slots - 1]
  const answer: unknown = evict({ layer, step, position, headDim, heads, options })
  const at = `in layer ${layer}, step ${step}`
  if (!Array.isArray(answer) || answer.length !== heads.length)
    throw new ZslabError(
      'invalid',
      `evict of ${name} ${at}: expected an array of slots for each of ${heads.length} kv heads but received ${shown(answer)}`,
    )
  return Int32Array.from(
    heads.flatMap((head) => {
      const leaving = Array.from(answer[head.kvHead] as ArrayLike<number>)
      const right =
        leaving.length === head.excess &&
        new Set(leaving).size === head.excess &&
        leaving.every((slot) => Number.isInteger(slot) && slot >= 0 && slot < head.slots)
      if (!right)
        throw new ZslabError(
          'invalid',
          `evict of ${name} ${at}, kv head ${head.kvHead}: expected ${head.excess} different slots from 0 to ${head.slots - 1} but received ${shown(leaving)}`,
        )
      return leaving
    }),
  )
}

/** The `count` candidates (default: all slots) with the lowest scores, lowest first, equal ones by slot; NaN last. */
export function lowest(
  scores: Float32Array,
  count: number,
  candidate: (slot: number) => boolean = () => true,
): Int32Array {
  const key = (slot: number) => (Number.isNaN(scores[slot]) ? Infinity : scores[slot])
  if (count === 1) {
    let best = -1
    for (let slot = 0; slot < scores.length; slot++)
      if (candidate(slot) && (best < 0 || key(slot) < key(best))) best = slot
    return Int32Array.of(best)
  }
  const slots: number[] = []
  for (let slot = 0; slot < scores.length; slot++) if (candidate(slot)) slots.push(slot)
  return Int32Array.from(slots.sort((a, b) => key(a) - key(b) || a - b).slice(0, count))
}
