/** Oracle weights and values against scipy's nnls and numpy's lstsq on fixed tensors (scripts/make-oracle-golden.py), and how they are judged. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { ZslabError, type HeadVectors } from '../../../src/index.js'
import { headAblation } from '../../../src/inspect/ablation.js'
import { Equations } from '../../../src/inspect/least-squares.js'
import { fitOracle, headOracles } from '../../../src/inspect/oracles.js'
import { cases } from '../model/files.js'
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
  weights: number[]
  clamped: number[]
  values: number[]
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
    it(`${system.rows} equations of ${system.unknowns} unknowns, rank ${system.rank}: as numpy and scipy`, () => {
      const equations = equationsOf(system)
      const before = equations.values.slice()
      same(equations.solution(), system.solution, 'solution')
      const positive = equations.nonNegative()
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

  it('an unknown that nothing is said of is 0; without any there is no solution to look for', () => {
    const equations = new Equations(3, 2, 1)
    for (let row = 0; row < 3; row++) equations.row(row).set([row + 1, 0, 2 * (row + 1)])
    same(equations.nonNegative(), [2, 0], 'non-negative')
    same(equations.solution(), [2, 0], 'solution')
    same(new Equations(2, 2, 1).nonNegative(), [0, 0], 'zeros')
  })
})

describe('oracles', () => {
  golden.heads.forEach((head, i) =>
    it(`weights and values of head ${i} (${head.equations} equations, ridge ${head.ridge}): as scipy and numpy`, () => {
      const { group, headDim, promptTokens, slots, weights, clamped, values } = head
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
      const options = { promptTokens, equations: head.each, keys: head.keys }
      const fit = fitOracle(vectors, slotsOf(slots), options)
      const later = slots.length - weights.length
      same(fit.weights, [...weights, ...Array<number>(later).fill(1)], 'weights')
      same(fit.clamped, [...clamped, ...Array<number>(later).fill(1)], 'clamped')
      const own = slots.slice(weights.length).flatMap(([t]) => head.v.slice(t * headDim, (t + 1) * headDim))
      same(fit.values, [...values, ...own], 'values')
      assert.deepEqual([fit.equations, fit.ridge], [head.equations, head.ridge])
      // The prompt's last rows are all that it looks at.
      const rows = head.equations / group
      const from = (promptTokens - rows) * group * headDim
      const cut = { ...vectors, firstQuery: promptTokens - rows, queries: vectors.queries.slice(from) }
      assert.deepEqual(fitOracle(cut, slotsOf(slots), options), fit)
    }),
  )

  it('are judged on the queries after the prompt: errors of all, and the share that the run won', () => {
    for (let seed = 0; seed < cases(100, 4); seed++) {
      const head = headOf(seed, { promptTokens: 40, tokens: 46, merged: 3 })
      const { vectors, reads, promptTokens } = head
      const options = { alpha: 0.9, promptTokens, judged: 3, equations: 4 }
      const found = headOracles(vectors, reads, options)
      const judged = [1, 3, 5].map((i) => reads[i])
      assert.deepEqual(
        [...found.steps],
        judged.map(({ step }) => step),
      )
      const sums = { drop: 0, zsmerge: 0, bias: 0, clamped: 0, values: 0 }
      for (const read of judged) {
        const fit = fitOracle(vectors, read.slots, options)
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
          sums.bias += part * with_(fit.weights, means)
          sums.clamped += part * with_(fit.clamped, means)
          sums.values += part * with_(fit.weights, rows(fit.values))
        }
      }
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) near(found.errors[name], sums[name])
      for (const name of ['bias', 'clamped', 'values'] as const) {
        const most = sums.drop - sums[name]
        if (most > 0) near(found.shares[name]!, (sums.drop - sums.zsmerge) / most)
        else assert.equal(found.shares[name], null)
      }
      const mean = headAblation(vectors, judged, { alpha: 0.9, resamples: 2 }).corners[0]
      near(found.errors.zsmerge, mean.error)
    }
  })

  it('where members are alike nothing is lost: the oracle is the count, and dropping is worse', () => {
    const { vectors, reads, promptTokens } = headOf(2, {
      promptTokens: 60,
      tokens: 63,
      headDim: 16,
      group: 3,
      gone: 0,
      sameKeys: true,
      sameValues: true,
    })
    const options = { promptTokens, equations: 50, ridge: 0 }
    const last = reads[reads.length - 1]
    const { weights } = fitOracle(vectors, last.slots, options)
    same(
      weights,
      last.slots.map(({ origins }) => origins.length),
      'weights',
    )
    const { errors, shares } = headOracles(vectors, reads, { alpha: 1, ...options })
    assert.ok(errors.zsmerge < 1e-6 && errors.bias < 1e-6 && errors.drop > 0.01)
    assert.ok(Math.abs(shares.bias! - 1) < 1e-3)
  })

  it('refuses a prompt whose queries were not recorded, reads of the prompt alone, and what is no number', () => {
    const { vectors, reads, promptTokens } = headOf(4)
    const refuses = (call: () => unknown, expected: RegExp) =>
      assert.throws(
        call,
        (error: unknown) => error instanceof ZslabError && error.code === 'invalid' && expected.test(error.message),
      )
    const width = vectors.group * vectors.headDim
    const late = { ...vectors, firstQuery: promptTokens, queries: vectors.queries.slice(promptTokens * width) }
    refuses(() => headOracles(late, reads, { alpha: 1, promptTokens }), /those from position \d+ on were recorded/)
    refuses(() => headOracles(vectors, reads, { alpha: 1, promptTokens: 999 }), /after the prompt, and there is none/)
    for (const wrong of [{ judged: 0 }, { equations: 0 }, { ridge: -1 }, { alpha: Infinity }])
      refuses(
        () => headOracles(vectors, reads, { alpha: 1, promptTokens, ...wrong }),
        new RegExp(Object.keys(wrong)[0]),
      )
  })
})
