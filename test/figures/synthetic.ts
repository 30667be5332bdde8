/** Runs made up with a seed, shaped as the engine's: ZSMerge on a prompt and some decode steps, events and origins consistent. */
import {
  ACTION,
  type EventColumns,
  type LayerOrigins,
  type RunData,
  type ShadowData,
  type Token,
} from '../../src/figures/data.js'
import type { Inspected } from '../../src/figures/attention-map.js'
import type { Comparable } from '../../src/inspect/comparable.js'
import { headCompensation, type HeadCompensation } from '../../src/inspect/compensation.js'
import { difference as compared, type Difference } from '../../src/inspect/difference.js'

export interface Made {
  layers?: number
  kvHeads?: number
  prompt?: number
  steps?: number
  budget?: number
  recent?: number
  residual?: number
  seed?: number
  trace?: boolean
  policyName?: string
  /** A cache that fills up while decoding takes its first tokens as residual slots (mode reference). */
  firstTokens?: boolean
}

/** Uniform in [0, 1): mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const WORDS = (
  ' the| of| and| a| to| in| that| his| it| I| whale|,|.|\n| Ahab| sea| ship| with| was| as| all| for| upon| this| at| by| but|;| not|' +
  ' from| him| so| be| on| one| you| there| now| had| have| or| were| what|—| old| man| like| then| some| when| Stub|b| Qu|eequ|eg|' +
  ' harpoon| deck| captain| white| Pe|qu|od| Nant|ucket| leviathan|"|!|?| <b>| & co| 鯨| 🐋|\ufffd'
).split('|')

export function tokensMade(count: number, prompt: number, seed: number): Token[] {
  const next = random(seed)
  return Array.from({ length: count }, (_, position) => {
    const id = Math.floor(next() ** 1.6 * WORDS.length)
    return { id, text: WORDS[id], position, prompt: position < prompt }
  })
}

export function runMade(options: Made = {}): RunData {
  const { layers = 30, kvHeads = 3, prompt = 3000, steps = 200, budget = 300, recent = 150, residual = 3 } = options
  const { seed = 1, trace = true, policyName = 'zsmerge', firstTokens = false } = options
  const tokens = tokensMade(prompt + steps, prompt, seed)
  const rows: number[][] = []
  const origins: LayerOrigins[] = []
  for (let layer = 0; layer < layers; layer++) {
    const heads: number[][][] = []
    for (let kvHead = 0; kvHead < kvHeads; kvHead++)
      heads.push(headMade(rows, layer, kvHead, { prompt, steps, budget, recent, residual, seed, firstTokens }, tokens))
    origins.push({ kvHeads: heads, residual: heads.map(() => (prompt + steps > budget ? residual : 0)) })
  }
  rows.sort((a, b) => a[0] - b[0])
  const column = (at: number) => Int32Array.from(rows, (row) => row[at])
  const floats = (at: number) => Float32Array.from(rows, (row) => row[at])
  const events: EventColumns = {
    count: rows.length,
    step: column(0),
    layer: column(1),
    kvHead: column(2),
    action: column(3),
    reason: new Int32Array(rows.length),
    position: column(4),
    slot: column(5),
    target: column(6),
    score: floats(7),
    similarity: floats(8),
    weight: floats(9),
    targetWeight: floats(10),
  }
  return {
    model: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    policyName,
    alpha: 1,
    layers,
    kvHeads,
    promptTokens: prompt,
    steps,
    tokens,
    resolved: { budget, recent, residual, sink: 0, context: budget - recent - residual, window: 798 },
    events: trace ? events : undefined,
    origins,
    bytes: bytesMade(layers, kvHeads, budget, recent, residual, prompt, steps),
  }
}

/** A run of one kv head as written down by hand: [step, what, position, target] and the slots at the end. */
export function runOf(given: {
  prompt: number
  steps: number
  sizes: RunData['resolved']
  events: [
    step: number,
    action: keyof typeof ACTION,
    position: number,
    target: number,
    score?: number,
    similarity?: number,
  ][]
  slots: number[][]
}): RunData {
  const { prompt, steps, sizes, events, slots } = given
  const tokens = tokensMade(prompt + steps, prompt, 1)
  const weights = new Map<number, number>()
  const whole = (value: (event: (typeof events)[number]) => number) => Int32Array.from(events, value)
  const real = (value: (event: (typeof events)[number]) => number) => Float32Array.from(events, value)
  return {
    model: 'by hand',
    policyName: 'zsmerge',
    layers: 1,
    kvHeads: 1,
    promptTokens: prompt,
    steps,
    tokens,
    resolved: sizes,
    events: {
      count: events.length,
      step: whole(([step]) => step),
      layer: whole(() => 0),
      kvHead: whole(() => 0),
      action: whole(([, action]) => ACTION[action]),
      reason: whole(() => 0),
      position: whole(([, , position]) => position),
      slot: whole(() => -1),
      target: whole(([, , , target]) => target),
      score: real(([, , , , score = NaN]) => score),
      similarity: real(([, , , , , similarity = NaN]) => similarity),
      weight: real(() => 1),
      targetWeight: real(([, action, , target]) => {
        if (action !== 'merge') return 0
        const weight = weights.get(target) ?? 1
        weights.set(target, weight + 1)
        return weight
      }),
    },
    origins: [{ kvHeads: [slots], residual: [sizes.residual] }],
    bytes: bytesMade(1, 1, sizes.budget, sizes.recent, sizes.residual, prompt, steps),
  }
}

type Shape = Required<Pick<Made, 'prompt' | 'steps' | 'budget' | 'recent' | 'residual' | 'seed' | 'firstTokens'>>

function headMade(
  rows: number[][],
  layer: number,
  kvHead: number,
  shape: Shape,
  tokens: Token[],
  watch?: (slots: number[][]) => void,
): number[][] {
  const { prompt, steps, budget, recent, residual } = shape
  const next = random(shape.seed * 7919 + layer * 101 + kvHead)
  const sharpness = 1 + 3 * next()
  // Rare words, the beginning and a few places attract attention.
  const places = Array.from({ length: 4 }, () => next() * prompt)
  const scores = tokens.map(
    ({ id, position }) =>
      (id / 60) * (0.2 + next()) ** sharpness +
      (position < 4 ? 3 : 0) +
      places.reduce((sum, at) => sum + 0.6 * Math.exp(-(((position - at) / 40) ** 2)), 0),
  )
  const note = (step: number, action: number, position: number, slot: number, target: number, sim = NaN, tw = 0) =>
    rows.push([step, layer, kvHead, action, position, slot, target, scores[position], sim, 1, tw])
  let slots: number[][] = []
  const last = budget - recent

  /** All tokens so far into `budget` slots; events in the engine's order: what leaves, then what enters. */
  const compress = (step: number, seen: number) => {
    const older = Array.from({ length: seen - recent }, (_, position) => position)
    const kept = [...older].sort((a, b) => scores[b] - scores[a] || a - b).slice(0, budget - recent - residual)
    const rest = older.filter((position) => !new Set(kept).has(position))
    const wasIn = (position: number) => (step > 0 && position < seen - 1 ? position : -1)
    const groups = Array.from({ length: residual }, (): number[] => [])
    rest.forEach((position, i) => {
      if (!residual) return note(step, ACTION.drop, position, wasIn(position), -1)
      const group = groups[Math.floor((i * residual) / rest.length)]
      if (group.length) note(step, ACTION.merge, position, wasIn(position), groups.indexOf(group), NaN, group.length)
      group.push(position)
    })
    const newest = Array.from({ length: recent }, (_, i) => [seen - recent + i])
    slots = [...groups, ...kept.map((position) => [position]), ...newest]
    slots.forEach(([position], slot) => {
      if (step === 0 || position === seen - 1) note(step, ACTION.admit, position, slot, -1)
    })
  }

  if (prompt > budget) compress(0, prompt)
  else
    for (let position = 0; position < prompt; position++) {
      note(0, ACTION.admit, position, position, -1)
      slots.push([position])
    }
  let [compressed, ring] = [prompt > budget, last + 1]
  const take = (step: number) => {
    const position = prompt + step - 1
    if (slots.length < budget) {
      note(step, ACTION.admit, position, slots.length, -1)
      slots.push([position])
      return
    }
    if (!compressed && !shape.firstTokens) {
      compress(step, position + 1)
      compressed = true
      return
    }
    compressed = true
    let victim = residual
    for (let slot = residual; slot <= last; slot++) {
      scores[slots[slot][0]] = 0.985 * scores[slots[slot][0]] + 0.02 * next() * (slots[slot][0] % 7 === 0 ? 2 : 1)
      if (scores[slots[slot][0]] < scores[slots[victim][0]]) victim = slot
    }
    const [leaving] = slots[victim]
    if (residual) {
      const target = next() < 0.5 ? residual - 1 : Math.floor(next() * residual)
      note(step, ACTION.merge, leaving, victim, target, 20 * next(), slots[target].length)
      slots[target].push(leaving)
    } else note(step, ACTION.drop, leaving, victim, -1)
    if (recent === 1) {
      note(step, ACTION.admit, position, victim, -1)
      slots[victim] = [position]
      return
    }
    const [leaver] = slots[ring]
    note(step, ACTION.leave, leaver, ring, victim)
    slots[victim] = [leaver]
    // Young, so often the next to go.
    const usual = scores[slots[residual + Math.floor(next() * (last + 1 - residual))][0]]
    scores[leaver] = next() < 0.3 ? 0 : usual * (0.6 + next())
    note(step, ACTION.admit, position, ring, -1)
    slots[ring] = [position]
    ring = ring + 1 < budget ? ring + 1 : last + 1
  }
  watch?.(slots)
  for (let step = 1; step <= steps; step++) {
    take(step)
    watch?.(slots)
  }
  return slots
}

/** The slots of layer 0, kv head 0 after the prompt and after every step, as they were while the run was made. */
export function layoutsMade(options: Made): number[][][] {
  const layouts: number[][][] = []
  const {
    prompt = 3000,
    steps = 200,
    budget = 300,
    recent = 150,
    residual = 3,
    seed = 1,
    firstTokens = false,
  } = options
  const shape = { prompt, steps, budget, recent, residual, seed, firstTokens }
  const watch = (slots: number[][]) => layouts.push(slots.map((members) => [...members]))
  headMade([], 0, 0, shape, tokensMade(prompt + steps, prompt, seed), watch)
  return layouts
}

function bytesMade(
  layers: number,
  kvHeads: number,
  budget: number,
  recent: number,
  residual: number,
  prompt: number,
  steps: number,
): RunData['bytes'] {
  const perSlot = 2 * 64 * 2
  const seen = prompt + steps
  const act = seen > budget
  const parts: RunData['bytes']['parts'] = []
  for (let layer = 0; layer < layers; layer++)
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const regions = {
        residual: act ? residual * 2 * perSlot : 0,
        sink: 0,
        context: (act ? budget - recent - residual : seen - Math.min(seen, recent)) * perSlot,
        recent: Math.min(seen, recent) * perSlot,
        queries: 0,
        bookkeeping: Math.min(seen, budget) * 12 + seen * 4,
        spare: act ? 16 * perSlot : 61 * perSlot,
      } as const
      for (const [region, bytes] of Object.entries(regions))
        parts.push({ layer, kvHead, region: region as keyof typeof regions, bytes })
    }
  const total = parts.reduce((sum, part) => sum + part.bytes, 0)
  const fullCache = layers * kvHeads * seen * perSlot
  return { parts, total, peak: Math.max(total, layers * kvHeads * prompt * (perSlot + 60)), fullCache }
}

/** Run and vectors of layer 0, kv head 0: keys and queries that remember a few places, made up with a seed. */
export function inspectedMade(options: Made, group = 2, headDim = 8): Inspected {
  const data = runMade({ ...options, layers: 1, kvHeads: 1 })
  const next = random((options.seed ?? 1) * 977)
  const numbers = (count: number, scale = 1) => Float32Array.from({ length: count }, () => scale * 2 * (next() - 0.5))
  const { tokens, promptTokens, steps } = data
  const keys = numbers(tokens.length * headDim, 2)
  const values = numbers(tokens.length * headDim)
  const queries = numbers(steps * group * headDim, 3)
  const layouts = layoutsMade(options)
  const outputs = numbers(queries.length)
  return {
    data: () => data,
    vectors: ({ layer, kvHead }) => ({
      ...{ layer, kvHead, group, headDim, keys, values, queries, outputs },
      firstQuery: promptTokens,
      firstOutput: promptTokens,
    }),
    reads: ({ from = 0, to = Infinity }) =>
      layouts.slice(0, steps).flatMap((slots, step) => {
        const position = promptTokens + step
        const all = [...slots, [position]]
        const read = all.map((origins, slot) => ({ slot, position: origins[0], weight: origins.length, origins }))
        return position >= from && position < to ? [{ position, step: step + 1, slots: read }] : []
      }),
  }
}

/** Compensation of the made-up run's head. */
export function compensationMade(options: Made, alpha = 1): HeadCompensation {
  const run = inspectedMade(options)
  const of = { layer: 0, kvHead: 0 }
  return headCompensation(run.vectors(of), run.reads(of), { alpha, seed: 1, resamples: 200 })
}

/** The difference of a run and another of its text, which went on otherwise from generated token `part` on; null: it did not. */
export function differenceMade(a: RunData, b: RunData, part: number | null = 12): Difference {
  const sides = [a, b].map((data, side) => {
    const own = part === null ? Infinity : data.promptTokens + part
    const tokens = data.tokens.map((token) => {
      const id = token.position < own ? token.id : (token.id + side) % WORDS.length
      return { ...token, id, text: token.position < own ? token.text : WORDS[id] }
    })
    const next = random(side + 1)
    const written = tokens.slice(data.promptTokens)
    const output = {
      ids: written.map(({ id }) => id),
      texts: written.map(({ text }) => text),
      logprobs: Float64Array.from(written, () => Math.log(1 - 0.8 * next())),
    }
    const { policyName, resolved } = data
    const card = { model: { file: data.model, sha256: '' }, policy: { name: policyName, options: resolved } }
    return { card, data: () => ({ ...data, tokens, output }) } as unknown as Comparable
  })
  return compared(sides[0], sides[1])
}

/** Heavier divergence for a smaller share of the cache. */
export function shadowMade(keepRatio: number, count = 200, seed = 1, prompt = 3000): ShadowData {
  const next = random(seed * 31 + Math.round(keepRatio * 1000))
  const all = tokensMade(prompt + count, prompt, seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
  const kl = Float64Array.from({ length: count }, () =>
    keepRatio >= 1 ? 0 : 10 ** (-2.6 - 1.1 * Math.log10(keepRatio * 10) + 0.9 * normal()),
  )
  const flips = Array.from(kl, (value) => next() < Math.min(0.8, 1.2 * value ** 0.6))
  const fullTop1 = all.slice(prompt).map((token) => token.id)
  return {
    model: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    policyName: 'zsmerge',
    label: `${Math.round(100 * keepRatio)}% of 3,000 tokens`,
    promptTokens: prompt,
    tokens: all.slice(prompt),
    kl,
    flips,
    fullTop1,
    top1: fullTop1.map((id, i) => (flips[i] ? (id + 1) % 60 : id)),
  }
}
