/** Oracle weights and values against scipy's nnls and numpy's lstsq on fixed tensors (scripts/make-oracle-golden.py), and how they are judged. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ZslabError, type HeadVectors } from '../../../src/index.js'
import { headAblation } from '../../../src/inspect/ablation.js'
import { Breaks } from '../../../src/inspect/breaks.js'
import { Equations } from '../../../src/inspect/least-squares.js'
import { fitOracle, ORACLES } from '../../../src/inspect/oracle-fits.js'
import { headOracles } from '../../../src/inspect/oracles.js'
import { draws } from '../model/files.js'
import { alike } from '../../scale.js'
import { combined, distance, headOf, plainly, softmax, total } from './heads.js'

interface GoldenHead {
  group: number
  headDim: number
  promptTokens: number
  each: number
  keys: 'mean' | 'fixed'
  slots: number[][]
  k: number[]
  v: number[]
  q: number[]
  /** Of the slots that hold a token of the prompt, which come first. */
  weights: Record<'bias' | 'clamped' | 'merged', number[]>
  values: Record<'values' | 'mergedValues', number[]>
  equations: number
  ridge: number
}

interface GoldenSystem {
  rows: number
  unknowns: number
  sides: number
  a: number[]
  b: number[]
  solution: number[]
  nonNegative: number[]
  /** ‖Ax − b‖ of it. */
  left: number
  rank: number
}

const golden = JSON.parse(readFileSync(new URL('../../golden/oracles.json', import.meta.url), 'utf8')) as {
  heads: GoldenHead[]
  systems: GoldenSystem[]
}

const TOLERANCE = 1e-6

function same(found: ArrayLike<number>, expected: ArrayLike<number>, say: string): void {
  assert.equal(found.length, expected.length, say)
  for (let i = 0; i < found.length; i++)
    assert.ok(
      Math.abs(found[i] - expected[i]) <= TOLERANCE * Math.max(1, Math.abs(expected[i])),
      `${say} ${i}: ${found[i]}, expected ${expected[i]}`,
    )
}

const near = (found: number, expected: number) =>
  assert.ok(Math.abs(found - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${found}, expected ${expected}`)

function equationsOf({ rows, unknowns, sides, a, b }: GoldenSystem): Equations {
  const made = new Equations(rows, unknowns, sides)
  for (let row = 0; row < rows; row++) {
    made.row(row).set(a.slice(row * unknowns, (row + 1) * unknowns))
    made.row(row).set(b.slice(row * sides, (row + 1) * sides), unknowns)
  }
  return made
}

const slotsOf = (slots: number[][]) => slots.map((origins, slot) => ({ slot, origins }))

describe('least squares', () => {
  for (const system of golden.systems)
    it(`${system.rows} equations of ${system.unknowns} unknowns, rank ${system.rank}: as numpy and scipy`, async () => {
      const equations = equationsOf(system)
      const before = equations.values.slice()
      same(await equations.solution(), system.solution, 'solution')
      const positive = await equations.nonNegative()
      assert.deepEqual(equations.values, before, 'they are left as they were')
      assert.ok(positive.every((value) => value >= 0))
      const { rows, unknowns, sides, a, b } = system
      const left = Array.from(
        { length: rows },
        (_, i) => total(Array.from(positive, (x, j) => x * a[i * unknowns + j])) - b[i * sides],
      )
      assert.ok(Math.abs(Math.hypot(...left) - system.left) <= 1e-9 * Math.max(1, system.left))
      // Of fewer independent equations than unknowns there are several as good.
      if (system.rank === unknowns && rows >= unknowns) same(positive, system.nonNegative, 'non-negative')
    })

  it('weights ≥ 0 that nothing near them betters, whatever depends on what', async () => {
    for (let seed = 0; seed < alike(400, 40); seed++) {
      const draw = draws(seed * 7919 + 3)
      const [rows, unknowns] = [1 + draw(24), 1 + draw(16)]
      const equations = new Equations(rows, unknowns, 1)
      const value = () => (draw(3) ? draw(2001) - 600 : 0) / 100
      for (let row = 0; row < rows; row++) equations.row(row).set(Array.from({ length: unknowns + 1 }, value))
      const [same, of] = [draw(unknowns), draw(unknowns)] // one column is often another's double
      for (let row = 0; row < rows; row++) equations.row(row)[same] = 2 * equations.row(row)[of]
      const x = await equations.nonNegative()
      const rest = Array.from({ length: rows }, (_, at) => {
        const row = equations.row(at)
        return row[unknowns] - total(Array.from(x, (value, i) => value * row[i]))
      })
      for (let i = 0; i < unknowns; i++) {
        const slope = total(rest.map((left, at) => left * equations.row(at)[i]))
        const most = 1e-7 * Math.hypot(...rest.map((_, at) => equations.row(at)[i])) * Math.hypot(...rest, 1e-3)
        assert.ok(x[i] >= 0 && slope <= most && (x[i] === 0 || slope >= -most), `seed ${seed}: ${x[i]}, ${slope}`)
      }
    }
  })

  it('of unknowns that depend on one another the shortest solution, and none that fits better', async () => {
    for (let seed = 0; seed < alike(400, 40); seed++) {
      const draw = draws(seed * 104729 + 11)
      const [rows, unknowns] = [1 + draw(24), 2 + draw(14)]
      const equations = new Equations(rows, unknowns, 2)
      for (let row = 0; row < rows; row++)
        equations.row(row).set(Array.from({ length: unknowns + 2 }, () => (draw(2001) - 1000) / 100))
      for (let row = 0; row < rows; row++) equations.row(row)[1] = 2 * equations.row(row)[0]
      const x = await equations.solution()
      for (const side of [0, 1]) {
        const own = Array.from({ length: unknowns }, (_, i) => x[2 * i + side])
        const long = Math.hypot(...own)
        assert.ok(Math.abs(own[1] - 2 * own[0]) <= 1e-9 * (1 + long), `seed ${seed}: ${own[0]}, ${own[1]}`)
        const rest = Array.from({ length: rows }, (_, at) => {
          const row = equations.row(at)
          return row[unknowns + side] - total(own.map((value, i) => value * row[i]))
        })
        for (let i = 0; i < unknowns; i++) {
          const slope = total(rest.map((left, at) => left * equations.row(at)[i]))
          assert.ok(Math.abs(slope) <= 1e-7 * (1 + long), `seed ${seed}: slope ${slope}`)
        }
      }
    }
  })

  it('an unknown that nothing is said of is 0; without any there is no solution to look for', async () => {
    const equations = new Equations(3, 2, 1)
    for (let row = 0; row < 3; row++) equations.row(row).set([row + 1, 0, 2 * (row + 1)])
    same(await equations.nonNegative(), [2, 0], 'non-negative')
    same(await equations.solution(), [2, 0], 'solution')
    same(await new Equations(2, 2, 1).nonNegative(), [0, 0], 'zeros')
  })
})

describe('oracles', () => {
  golden.heads.forEach((head, i) =>
    it(`weights and values of head ${i} (${head.equations} equations, ridge ${head.ridge}): as scipy and numpy`, async () => {
      const { group, headDim, promptTokens, slots, weights, values } = head
      const vectors: HeadVectors = {
        layer: 0,
        kvHead: 0,
        group,
        headDim,
        keys: Float32Array.from(head.k),
        values: Float32Array.from(head.v),
        firstQuery: 0,
        queries: Float32Array.from(head.q),
        firstOutput: 0,
        outputs: new Float32Array(head.q.length),
      }
      const options = { alpha: 1, promptTokens, equations: head.each, keys: head.keys }
      const fit = await fitOracle(vectors, slotsOf(slots), options)
      const later = slots.length - weights.bias.length
      const own = slots.slice(weights.bias.length).flatMap(([t]) => head.v.slice(t * headDim, (t + 1) * headDim))
      for (const name of ['bias', 'clamped', 'merged'] as const)
        same(fit.slots[name].weights, [...weights[name], ...Array<number>(later).fill(1)], `weights of ${name}`)
      for (const name of ['values', 'mergedValues'] as const)
        same(fit.slots[name].values, [...values[name], ...own], name)
      assert.deepEqual(fit.slots.values.weights, fit.slots.bias.weights)
      assert.deepEqual(fit.slots.mergedValues.weights, fit.slots.merged.weights)
      assert.deepEqual([fit.equations, fit.ridge], [head.equations, head.ridge])
      // The prompt's last rows are all that it looks at.
      const rows = head.equations / group
      const from = (promptTokens - rows) * group * headDim
      const cut = { ...vectors, firstQuery: promptTokens - rows, queries: vectors.queries.slice(from) }
      assert.deepEqual(await fitOracle(cut, slotsOf(slots), options), fit)
    }),
  )

  it('are judged on the queries after the prompt: errors of all, and the share that the run won', async () => {
    for (let seed = 0; seed < alike(100, 4); seed++) {
      const head = headOf(seed, { promptTokens: 40, tokens: 46, merged: 3 })
      const { vectors, reads, promptTokens } = head
      const options = { alpha: 0.9, promptTokens, judged: 3, equations: 4 }
      const found = await headOracles(vectors, reads, options)
      const judged = [1, 3, 5].map((i) => reads[i])
      assert.deepEqual(
        [...found.steps],
        judged.map(({ step }) => step),
      )
      const sums = { drop: 0, zsmerge: 0, bias: 0, clamped: 0, values: 0, merged: 0, mergedValues: 0 }
      for (const read of judged) {
        const { slots: fit } = await fitOracle(vectors, read.slots, options)
        for (let q = 0; q < vectors.group; q++) {
          const { logits, full, under } = plainly(head, read, q)
          const { slotLogits } = under({ alpha: 0 })
          const rows = (values: ArrayLike<number>) =>
            read.slots.map((_, i) => Array.from({ length: vectors.headDim }, (_, j) => values[i * vectors.headDim + j]))
          const token = (t: number) =>
            Array.from(vectors.values.slice(t * vectors.headDim, (t + 1) * vectors.headDim), Number)
          const means = read.slots.map(({ origins }) =>
            combined(
              origins.map(() => 1 / origins.length),
              origins.map(token),
            ),
          )
          const with_ = (weights: ArrayLike<number>, values: number[][]) => {
            const probs = softmax(slotLogits.map((logit, i) => logit + Math.log(weights[i])))
            return distance(combined(probs, values), full) / Math.hypot(...full)
          }
          const part = 1 / (judged.length * vectors.group)
          const firsts = read.slots.map(({ origins }) => origins[0])
          const drop = combined(softmax(firsts.map((t) => logits[t])), firsts.map(token))
          sums.drop += (part * distance(drop, full)) / Math.hypot(...full)
          sums.zsmerge += part * under({ alpha: 0.9 }).error
          for (const name of ['bias', 'clamped', 'merged'] as const)
            sums[name] += part * with_(fit[name].weights, means)
          for (const name of ['values', 'mergedValues'] as const)
            sums[name] += part * with_(fit[name].weights, rows(fit[name].values))
        }
      }
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) near(found.errors[name], sums[name])
      for (const name of ORACLES) {
        const most = sums.drop - sums[name]
        if (most > 0) near(found.shares[name]!, (sums.drop - sums.zsmerge) / most)
        else assert.equal(found.shares[name], null)
      }
      const mean = headAblation(vectors, judged, { alpha: 0.9, resamples: 2 }).corners[0]
      near(found.errors.zsmerge, mean.error)
    }
  })

  it('where members are alike nothing is lost: the oracle is the count, whoever saw how many of them, and dropping is worse', async () => {
    const { vectors, reads, promptTokens } = headOf(2, {
      promptTokens: 60,
      tokens: 63,
      headDim: 16,
      group: 3,
      gone: 0,
      sameKeys: true,
      sameValues: true,
    })
    const options = { alpha: 1, promptTokens, equations: 50, ridge: 0 }
    const last = reads[reads.length - 1]
    const { slots, left } = await fitOracle(vectors, last.slots, options)
    for (const name of ['bias', 'merged'] as const)
      same(
        slots[name].weights,
        last.slots.map(({ origins }) => origins.length),
        name,
      )
    assert.ok(left.all.zsmerge.mass < 1e-6 && left.all.bias.mass < 1e-6 && left.all.drop.mass > 0.01)
    const { errors, shares } = await headOracles(vectors, reads, options)
    assert.ok(errors.zsmerge < 1e-6 && errors.bias < 1e-6 && errors.drop > 0.01)
    assert.ok(Math.abs(shares.bias! - 1) < 1e-3)
  })

  it('no query is asked for what came after it', async () => {
    const { vectors, reads, promptTokens } = headOf(6, { promptTokens: 40, tokens: 44, merged: 2 })
    const { slots } = reads[0]
    const options = { alpha: 1, promptTokens, equations: 4, ridge: 0 }
    const before = await fitOracle(vectors, slots, options)
    // Keys and values of the answer, which no query of the prompt saw, may be anything; the prompt's own may not.
    const changed = (from: number) => {
      const [keys, values] = [vectors.keys.slice(), vectors.values.slice()]
      keys.fill(3, from * vectors.headDim)
      values.fill(-2, from * vectors.headDim)
      return { ...vectors, keys, values }
    }
    const grown = slots.map(({ slot, origins }, i) => ({ slot, origins: i ? origins : [...origins, promptTokens + 1] }))
    const whole = await fitOracle(vectors, grown, options)
    const after = await fitOracle(changed(promptTokens), grown, options)
    same(after.slots.bias.weights, whole.slots.bias.weights, 'weights')
    // One more member than any of them saw counts by its part alone.
    same(
      whole.slots.bias.weights.map((weight, i) => weight * (i ? 1 : slots[0].origins.length / grown[0].origins.length)),
      before.slots.bias.weights,
      'weights by members seen',
    )
    const other = await fitOracle(changed(promptTokens - 1), slots, options)
    assert.ok(other.slots.bias.weights.some((weight, i) => Math.abs(weight - before.slots.bias.weights[i]) > 1e-3))
  })

  it('on what they were fitted to, none does worse than what it may choose', async () => {
    for (let seed = 0; seed < alike(60, 6); seed++) {
      const { vectors, reads, promptTokens } = headOf(seed, { promptTokens: 60, tokens: 64, merged: 3 })
      for (const keys of ['mean', 'fixed'] as const) {
        const options = { alpha: 0.6, keys, promptTokens, equations: 6, ridge: 0 }
        const { all, merged } = (await fitOracle(vectors, reads[2].slots, options)).left
        const atMost = (a: number, b: number) =>
          assert.ok(a <= b * (1 + 1e-9), `seed ${seed}, keys ${keys}: ${a}, ${b}`)
        atMost(all.bias.mass, all.zsmerge.mass)
        atMost(merged.merged.mass, merged.zsmerge.mass)
        atMost(all.values.output, all.bias.output)
        atMost(merged.mergedValues.output, merged.merged.output)
        // With keys fixed a slot's first token alone is that slot at weight 1.
        const plain = reads[2].slots.every(({ seed }) => seed === undefined)
        if (keys === 'fixed' && plain) atMost(all.bias.mass, all.drop.mass)
      }
    }
  })

  it('stops in the middle of a fit when it is told to', async () => {
    const { vectors, reads, promptTokens } = headOf(3, { promptTokens: 600, tokens: 603, headDim: 32, group: 2 })
    const stop = new AbortController()
    let fits = 0
    const fitting = headOracles(
      vectors,
      reads,
      { alpha: 1, promptTokens, equations: 2 },
      new Breaks(stop.signal),
      () => fits++,
    )
    setTimeout(() => stop.abort(new Error('enough')), 10)
    await assert.rejects(fitting, /enough/)
    assert.equal(fits, 0)
  })

  it('refuses a prompt whose queries were not recorded, reads of the prompt alone, and what is no number', async () => {
    const { vectors, reads, promptTokens } = headOf(4)
    const refuses = (call: () => Promise<unknown>, expected: RegExp) =>
      assert.rejects(
        call,
        (error: unknown) => error instanceof ZslabError && error.code === 'invalid' && expected.test(error.message),
      )
    const width = vectors.group * vectors.headDim
    const late = { ...vectors, firstQuery: promptTokens, queries: vectors.queries.slice(promptTokens * width) }
    await refuses(
      () => headOracles(late, reads, { alpha: 1, promptTokens }),
      /those from position \d+ on were recorded/,
    )
    await refuses(
      () => headOracles(vectors, reads, { alpha: 1, promptTokens: 999 }),
      /after the prompt, and there is none/,
    )
    for (const wrong of [{ judged: 0 }, { equations: 0 }, { ridge: -1 }, { alpha: Infinity }])
      await refuses(
        () => headOracles(vectors, reads, { alpha: 1, promptTokens, ...wrong }),
        new RegExp(Object.keys(wrong)[0]),
      )
  })
})
