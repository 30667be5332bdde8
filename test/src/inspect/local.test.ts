/** The local part of a shadow against attention by hand in double precision, on what the toy model's heads were given. */
import assert from 'node:assert/strict'
import {
  evictOnly,
  fullCache,
  load,
  lorc,
  snapkv,
  zsmerge,
  type HeadVectors,
  type Model,
  type Policy,
  type Run,
} from '../../../src/index.js'
import { toyPath } from '../model/files.js'

const TOLERANCE = 1e-5
const ids = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => (i * 7 + seed * 13 + ((i * i) % 11)) % 250)

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0)
const norm = (a: number[]) => Math.sqrt(dot(a, a))
const minus = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a, (x, i) => x - b[i])
const meanOf = (rows: number[][]) => rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length)

function attended(logits: number[], values: number[][]): { p: number[]; o: number[] } {
  const top = Math.max(...logits)
  const e = logits.map((logit) => Math.exp(logit - top))
  const all = e.reduce((a, b) => a + b, 0)
  const p = e.map((x) => x / all)
  return { p, o: values[0].map((_, i) => p.reduce((sum, x, j) => sum + x * values[j][i], 0)) }
}

const near = (got: number, expected: number, what: string) =>
  assert.ok(
    Math.abs(got - expected) <= TOLERANCE * Math.max(1, Math.abs(expected)),
    `${what}: ${got}, expected ${expected}`,
  )

/** Scores of tokens as the prompt left them: [position] of those that were merged then, and of those that stayed. */
function promptScores(run: Run, layer: number, kvHead: number) {
  const events = run.trace.columns()
  const [merged, admitted] = [new Map<number, number>(), new Map<number, number>()]
  for (let i = 0; i < events.step.length; i++)
    if (events.step[i] === 0 && events.layer[i] === layer && events.kvHead[i] === kvHead)
      (events.action[i] === 2 ? merged : admitted).set(events.position[i], events.score[i])
  return { merged, admitted }
}

/** A group of the prompt began with the highest score in it, at equal scores the earliest: it comes first now. */
function seedFirst(members: number[], { merged, admitted }: ReturnType<typeof promptScores>): void {
  const group = members.filter((t, i) => (i === 0 ? admitted : merged).has(t))
  if (group.length < 2 || group[0] !== members[0]) return
  const scores = group.map((t, i) => (i === 0 ? admitted : merged).get(t)!)
  const seed = group[scores.indexOf(Math.max(...scores))]
  members.sort((a, b) => Number(b === seed) - Number(a === seed))
}

async function checked(model: Model, policy: Policy, prompt: number, steps: number, turn: number): Promise<Run> {
  const session = model.session({ policy, trace: 'vectors', storage: 'float32' })
  await session.prefill(ids(prompt, 1))
  if (turn) await session.append(ids(turn, 2))
  const run = await session.generate(undefined, { maxTokens: steps + 1, ignoreEos: true, progress: false })
  const { local } = await run.shadow({ progress: false })
  assert.ok(local)
  const { layers, heads, kvHeads } = local
  assert.deepEqual(
    Array.from(local.positions),
    Array.from({ length: steps }, (_, i) => prompt + turn + i),
  )
  const { keys: keyMode, values: valueMode, init } = (policy.of ?? policy).options
  const seeded = init === 'position' && (keyMode === 'fixed' || valueMode === 'fixed')
  const lostSums = new Map<string, { probability: number; change: number; worst: number; worstStep: number }>()
  for (let layer = 0; layer < layers; layer++)
    for (let kvHead = 0; kvHead < kvHeads; kvHead++) {
      const given: HeadVectors = run.vectors({ layer, kvHead })
      const d = given.headDim
      const scores = promptScores(run, layer, kvHead)
      const row = (of: Float32Array, i: number) => Array.from(of.subarray(i * d, (i + 1) * d))
      for (let r = 0; r < steps; r++) {
        const position = local.positions[r]
        const step = local.steps[r]
        const k = Array.from({ length: position + 1 }, (_, t) => row(given.keys, t))
        const v = k.map((_, t) => row(given.values, t))
        // What it read: all that was there after the step before, and itself.
        const slots = run.trace.cacheAt({ step: step - 1, layer, kvHead }).slots.map((slot) => slot.origins)
        slots.push([position])
        if (seeded) for (const of of slots) seedFirst(of, scores)
        const kept = new Set(slots.filter((of) => of.length === 1).map(([t]) => t))
        const merged = new Set(slots.filter((of) => of.length > 1).flat())
        for (let h = 0; h < given.group; h++) {
          const what = `${policy.name}, layer ${layer}, head ${kvHead * given.group + h}, row ${r}`
          const at = (r * layers + layer) * heads + kvHead * given.group + h
          const q = row(given.queries, (position - given.firstQuery) * given.group + h)
          const o = row(given.outputs, (position - given.firstOutput) * given.group + h)
          const logit = (key: number[]) => dot(q, key) / Math.sqrt(d)
          const full = attended(k.map(logit), v)
          const error = (of: number[]) => norm(minus(of, full.o)) / norm(full.o)
          near(local.error[at], error(o), `${what}: error`)
          const sum = (of: (t: number) => boolean) => full.p.reduce((all, p, t) => all + (of(t) ? p : 0), 0)
          near(
            local.blurred[at],
            sum((t) => merged.has(t)),
            `${what}: blurred`,
          )
          near(
            local.missed[at],
            sum((t) => !merged.has(t) && !kept.has(t)),
            `${what}: missed`,
          )
          const seeds = slots.map(([t]) => t)
          const first = error(
            attended(
              seeds.map((t) => logit(k[t])),
              seeds.map((t) => v[t]),
            ).o,
          )
          const of = (mode: unknown, rows: number[][]) =>
            slots.map((members) => (mode === 'fixed' ? rows[members[0]] : meanOf(members.map((t) => rows[t]))))
          const plain = error(attended(of(keyMode, k).map(logit), of(valueMode, v)).o)
          const parts = [local.dropped![at], local.merged![at], local.repaired![at]]
          near(parts[0], first, `${what}: dropped`)
          near(parts[1], plain - first, `${what}: merged`)
          near(parts[2], error(o) - plain, `${what}: repaired`)
          near(
            parts.reduce((a, b) => a + b),
            local.error[at],
            `${what}: the sum of parts`,
          )
          for (let t = 0; t <= position; t++) {
            const key = `${layer}/${kvHead}/${t}/${step}`
            const one = lostSums.get(key) ?? { probability: 0, change: 0, worst: 0, worstStep: step }
            one.probability += full.p[t] / given.group
            // Left out by hand: the same attention over the others.
            const others = k.map((_, i) => i).filter((i) => i !== t)
            const without = attended(
              others.map((i) => logit(k[i])),
              others.map((i) => v[i]),
            ).o
            if (!kept.has(t)) one.change += norm(minus(without, full.o)) / given.group
            lostSums.set(key, one)
          }
        }
      }
    }
  const { lost } = local
  const columns = run.trace.columns()
  const events = [...columns.action.keys()].filter((i) => columns.action[i] === 2 || columns.action[i] === 3)
  assert.deepEqual(Array.from(lost.event), events)
  for (let i = 0; i < events.length; i++) {
    const later: number[] = Array.from(local.steps).filter((step) => step > lost.step[i])
    const found = later.map((step) => ({
      step,
      ...lostSums.get(`${lost.layer[i]}/${lost.kvHead[i]}/${lost.position[i]}/${step}`)!,
    }))
    const what = `${policy.name}: event ${events[i]}`
    near(
      lost.probability[i],
      found.reduce((sum, one) => sum + one.probability, 0),
      `${what}: probability`,
    )
    near(
      lost.change[i],
      found.reduce((sum, one) => sum + one.change, 0),
      `${what}: change`,
    )
    const worst = found.reduce((most, one) => Math.max(most, one.probability), 0)
    near(lost.worst[i], worst, `${what}: worst`)
    assert.equal(lost.worstStep[i] === -1, found.length === 0)
  }
  session.dispose()
  return run
}

describe('local shadow', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
  })
  after(() => model.dispose())

  it('regret, errors and their parts are those of attention by hand', async function () {
    const policies = [
      zsmerge({ budget: 14, recent: 4, residual: 3 }),
      zsmerge({ budget: 12, recent: 3, residual: 2, alpha: 0.6, keys: 'fixed' }),
      zsmerge({ budget: 12, recent: 3, residual: 2, values: 'fixed', init: 'similarity', granularity: 'model' }),
      evictOnly({ budget: 10, recent: 3 }),
      snapkv({ budget: 20, window: 4 }),
      fullCache(),
    ]
    for (const policy of policies) await checked(model, policy, 33, 5, 0)
  })

  it('also after a further turn, and where a cache fills up in mid-run', async () => {
    await checked(model, zsmerge({ budget: 14, recent: 4, residual: 3, chunk: 4 }), 20, 4, 9)
    await checked(model, zsmerge({ budget: 16, recent: 4, residual: 2 }), 12, 7, 0)
  })

  it('is the same from the session that was forked, and says where there is none', async () => {
    const source = model.session({ forkable: 'all' })
    await source.prefill(ids(40, 3))
    const policy = zsmerge({ budget: 14, recent: 4, residual: 3 })
    const session = await source.fork({ policy, trace: true })
    const run = await session.generate(undefined, { maxTokens: 5, ignoreEos: true, progress: false })
    const shadow = await run.shadow({ from: source, progress: false })
    assert.ok(shadow.local!.error.some((error) => error > 0))
    assert.deepEqual(shadow, await run.shadow({ progress: false }))
    assert.equal((await run.shadow({ from: source, local: false, progress: false })).local, undefined)
    const latent = await model
      .session({ policy: lorc({ rank: 8, ramp: 'flat' }) })
      .generate(ids(20, 1), { maxTokens: 3, ignoreEos: true, progress: false })
    const without = await latent.shadow({ progress: false })
    assert.equal(without.local, undefined)
    assert.match(without.localNote!, /lorc changes keys or values as they come/)
    assert.throws(
      () => run.vectors({ layer: 0, kvHead: 0 }),
      /vectors of layer 0, kv head 0 were not kept \(trace was 'events'\): make the session with trace: \{ level: 'vectors', layers: \[0\]/,
    )
  })

  it('vectors of a fork begin with what the prompt was', async () => {
    const source = model.session({ forkable: true })
    await source.prefill(ids(40, 3))
    const fork = await source.fork({
      policy: evictOnly({ budget: 10, recent: 3 }),
      trace: { level: 'vectors', kvHeads: [0] },
    })
    const own = model.session({ policy: evictOnly({ budget: 10, recent: 3 }), trace: 'vectors' })
    await own.prefill(ids(40, 3))
    for (const session of [fork, own]) await session.step(9)
    assert.deepEqual(fork.vectors({ layer: 1, kvHead: 0 }), own.vectors({ layer: 1, kvHead: 0 }))
    const untraced = await fork.fork({ trace: 'events' }).catch((error: Error) => error)
    assert.ok(!(untraced instanceof Error), String(untraced))
    assert.throws(() => untraced.vectors({ layer: 1, kvHead: 0 }), /were not kept/)
  })
})
