/** Runs made up with a seed, shaped as the engine's: ZSMerge on a prompt and some decode steps, events and origins consistent. */
import {
  ACTION,
  type EventColumns,
  type LayerOrigins,
  type RunData,
  type ShadowData,
  type Token,
} from '../../src/figures/data.js'

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

interface Head {
  /** Slot → position; residual slots hold lists. */
  slots: number[][]
  scores: number[]
}

export function runMade(options: Made = {}): RunData {
  const { layers = 30, kvHeads = 3, prompt = 3000, steps = 200, budget = 300, recent = 150, residual = 3 } = options
  const { seed = 1, trace = true, policyName = 'zsmerge' } = options
  const tokens = tokensMade(prompt + steps, prompt, seed)
  const rows: number[][] = []
  const origins: LayerOrigins[] = []
  for (let layer = 0; layer < layers; layer++) {
    const heads: number[][][] = []
    for (let kvHead = 0; kvHead < kvHeads; kvHead++)
      heads.push(headMade(rows, layer, kvHead, { prompt, steps, budget, recent, residual, seed }, tokens))
    origins.push({ kvHeads: heads, residual: prompt > budget ? residual : 0 })
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

type Shape = { prompt: number; steps: number; budget: number; recent: number; residual: number; seed: number }

function headMade(rows: number[][], layer: number, kvHead: number, shape: Shape, tokens: Token[]): number[][] {
  const { prompt, steps, budget, recent, residual } = shape
  const next = random(shape.seed * 7919 + layer * 101 + kvHead)
  const sharpness = 1 + 3 * next()
  // Rare words, the beginning and a few places attract attention.
  const places = Array.from({ length: 4 }, () => next() * prompt)
  const score = (position: number) =>
    (tokens[position].id / 60) * (0.2 + next()) ** sharpness +
    (position < 4 ? 3 : 0) +
    places.reduce((sum, at) => sum + 0.6 * Math.exp(-(((position - at) / 40) ** 2)), 0)
  const event = (
    step: number,
    action: number,
    position: number,
    slot: number,
    target: number,
    s: number,
    sim = NaN,
    tw = 0,
  ) => rows.push([step, layer, kvHead, action, position, slot, target, s, sim, 1, tw])
  const head: Head = { slots: [], scores: [] }
  if (prompt <= budget) {
    for (let position = 0; position < prompt; position++) {
      head.slots.push([position])
      head.scores.push(score(position))
      event(0, ACTION.admit, position, position, -1, head.scores[position])
    }
    return head.slots
  }
  const context = budget - recent - residual
  const scored = Array.from({ length: prompt - recent }, (_, position) => ({ position, s: score(position) }))
  const kept = [...scored].sort((a, b) => b.s - a.s || a.position - b.position).slice(0, context)
  const keptSet = new Set(kept.map((k) => k.position))
  const rest = scored.filter((k) => !keptSet.has(k.position))
  for (let r = 0; r < residual; r++) head.slots.push([])
  head.scores.push(...Array.from({ length: residual }, () => 0))
  rest.forEach(({ position, s }, i) => {
    const target = residual ? Math.min(residual - 1, Math.floor((i * residual) / rest.length)) : -1
    event(
      0,
      residual ? ACTION.merge : ACTION.drop,
      position,
      -1,
      target,
      s,
      NaN,
      residual ? head.slots[target].length : 0,
    )
    if (residual) head.slots[target].push(position)
  })
  for (const { position, s } of kept) {
    event(0, ACTION.admit, position, head.slots.length, -1, s)
    head.slots.push([position])
    head.scores.push(s)
  }
  for (let position = prompt - recent; position < prompt; position++) {
    event(0, ACTION.admit, position, head.slots.length, -1, score(position))
    head.slots.push([position])
    head.scores.push(score(position))
  }
  // Recent holds the newest, the oldest of it already a candidate at the context's end.
  const first = budget - recent + 1
  let ring = 0
  for (let step = 1; step <= steps; step++) {
    let victim = residual
    for (let slot = residual; slot < first; slot++) {
      head.scores[slot] = 0.985 * head.scores[slot] + 0.02 * next() * (head.slots[slot][0] % 7 === 0 ? 2 : 1)
      if (head.scores[slot] < head.scores[victim]) victim = slot
    }
    const leaving = head.slots[victim][0]
    // The leaver is young: often its score is the least.
    const usual = head.scores[residual + Math.floor(next() * (first - residual))]
    if (residual) {
      const target = next() < 0.5 ? residual - 1 : Math.floor(next() * residual)
      event(step, ACTION.merge, leaving, victim, target, head.scores[victim], 20 * next(), head.slots[target].length)
      head.slots[target].push(leaving)
    } else event(step, ACTION.drop, leaving, victim, -1, head.scores[victim])
    const place = recent > 1 ? first + (ring++ % (recent - 1)) : victim
    if (recent > 1) {
      event(step, ACTION.leave, head.slots[place][0], place, victim, head.scores[place])
      head.slots[victim] = head.slots[place]
      head.scores[victim] = next() < 0.3 ? 0 : usual * (0.6 + next())
    }
    head.slots[place] = [prompt + step - 1]
    head.scores[place] = 0.5
    event(step, ACTION.admit, prompt + step - 1, place, -1, 0.5)
  }
  return head.slots
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
  const act = prompt > budget
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
