/** Compensation by slot, the fitted α, the corners of a merge and what-if, against the same worked out plainly on random heads. */
import assert from 'node:assert/strict'
import { ZslabError, type HeadVectors } from '../../../src/index.js'
import { headAblation } from '../../../src/inspect/ablation.js'
import { bootstrapOf, resampled } from '../../../src/inspect/bootstrap.js'
import { headCompensation } from '../../../src/inspect/compensation.js'
import type { SlotsRead } from '../../../src/inspect/head.js'
import { whatIf } from '../../../src/inspect/what-if.js'
import { alike } from '../../scale.js'
import { distance, headOf, plainly, row, total, type Head } from './heads.js'

const near = (found: number, expected: number, tolerance = 1e-10, say = '') =>
  assert.ok(
    Math.abs(found - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${say} ${found}, expected ${expected}`,
  )

/** Of merged slots and queries: x = ln w and the rest of the term that α·x should cancel. */
function pairs(head: Head, reads: readonly SlotsRead[], keys?: string): { x: number; rest: number }[] {
  return reads.flatMap((read) =>
    Array.from({ length: head.vectors.group }, (_, q) => {
      const { logits, under } = plainly(head, read, q)
      const { slotLogits } = under({ alpha: 0, keys })
      return read.slots.flatMap(({ origins }, slot) =>
        origins.length > 1
          ? [
              {
                x: Math.log(origins.length),
                rest: slotLogits[slot] - Math.log(total(origins.map((origin) => Math.exp(logits[origin])))),
              },
            ]
          : [],
      )
    }).flat(),
  )
}

/** Where a parabola through three of its points is lowest. */
function lowest(objective: (alpha: number) => number): number {
  const [a, b, c] = [objective(-1), objective(0), objective(1)]
  return (a - c) / (2 * (a + c - 2 * b))
}

const refuses = (call: () => unknown, expected: RegExp) =>
  assert.throws(call, (error: unknown) => {
    assert.ok(error instanceof ZslabError && error.code === 'invalid', String(error))
    assert.match(error.message, expected)
    return true
  })

const HEADS = alike(400, 16)

describe('compensation of one head', () => {
  it('every number of every slot, query head and step, on random heads', () => {
    for (let seed = 0; seed < HEADS; seed++) {
      const head = headOf(seed, { merged: seed % 4 })
      const alpha = [0, 0.6, 1, 1.7][seed % 4]
      const keys = seed % 3 ? 'mean' : 'fixed'
      const values = seed % 5 ? 'mean' : 'fixed'
      const all = headCompensation(head.vectors, head.reads, { alpha, keys, values, slots: 'all', seed: 1 })
      const merged = headCompensation(head.vectors, head.reads, { alpha, keys, values, seed: 1 })
      const { columns } = all
      const errors: number[] = []
      let [at, mergedAt, deviation] = [0, 0, 0]
      for (const read of head.reads)
        for (let q = 0; q < head.vectors.group; q++) {
          const plain = plainly(head, read, q)
          const { slotLogits, slotProbs, output, error } = plain.under({ alpha, keys, values })
          errors.push(error)
          const recorded = row(head.vectors.outputs, head.vectors.headDim, read.position * head.vectors.group + q)
          deviation = Math.max(deviation, distance(output, recorded) / Math.hypot(...recorded))
          read.slots.forEach(({ slot, origins }, i) => {
            const members = total(origins.map((origin) => plain.probs[origin]))
            const mass = Math.log(total(origins.map((origin) => Math.exp(plain.logits[origin]))))
            const expected = {
              step: read.step,
              position: read.position,
              head: q,
              slot,
              first: origins[0],
              weight: origins.length,
              bias: alpha * Math.log(origins.length),
              prob: slotProbs[i],
              membersProb: members,
              lnMass: slotLogits[i],
              membersLnMass: mass,
              probLogRatio: Math.log(slotProbs[i] / members),
              massLogRatio: slotLogits[i] - mass,
            }
            for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
              near(columns[name][at], expected[name], 1e-10, name)
              if (origins.length > 1) assert.equal(merged.columns[name][mergedAt], columns[name][at], name)
            }
            at++
            if (origins.length > 1) mergedAt++
          })
        }
      assert.equal(columns.step.length, at)
      assert.equal(merged.columns.step.length, mergedAt)
      near(all.error, total(errors) / errors.length)
      near(all.deviation!, deviation)
    }
  })

  it('the fitted α is where the squares are least; its interval is of whole blocks of steps; the seed gives it again', () => {
    for (let seed = 0; seed < HEADS; seed++) {
      const head = headOf(seed, { merged: 1 + (seed % 3) })
      const keys = seed % 2 ? 'mean' : 'fixed'
      const options = { alpha: 1, keys, seed, resamples: 60 } as const
      const { fitted, bootstrap } = headCompensation(head.vectors, head.reads, options)
      const fit = (reads: readonly SlotsRead[]) => {
        const terms = pairs(head, reads, keys)
        return {
          alpha: lowest((alpha) => total(terms.map(({ x, rest }) => (alpha * x + rest) ** 2))),
          terms,
        }
      }
      const whole = fit(head.reads)
      near(fitted!.alpha, whole.alpha, 1e-9)
      assert.equal(fitted!.pairs, whole.terms.length)
      const squares = total(whole.terms.map(({ x, rest }) => (whole.alpha * x + rest) ** 2))
      near(fitted!.rms, Math.sqrt(squares / whole.terms.length), 1e-7)
      assert.deepEqual(bootstrap, { seed, resamples: 60, block: Math.round(Math.cbrt(head.reads.length)) })
      if (seed % 8 === 0) {
        const drawn = [...resampled(head.reads.length, bootstrap)].length
        assert.equal(drawn, 60)
        const alphas: number[] = []
        for (const chosen of resampled(head.reads.length, bootstrap))
          alphas.push(fit(Array.from(chosen, (i) => head.reads[i])).alpha)
        alphas.sort((a, b) => a - b)
        const at = (place: number) => {
          const below = alphas[Math.floor(place)]
          return below + (place % 1) * (alphas[Math.ceil(place)] - below)
        }
        near(fitted!.interval!.low, at(0.025 * 59), 1e-8)
        near(fitted!.interval!.high, at(0.975 * 59), 1e-8)
      }
      assert.deepEqual(headCompensation(head.vectors, head.reads, options).fitted, fitted)
    }
  })

  it('identical keys in a slot: the fitted α is 1, and with identical values the error is 0', () => {
    for (let seed = 0; seed < HEADS; seed++) {
      const { vectors, reads } = headOf(seed, { sameKeys: true, sameValues: seed % 2 === 0, gone: 0 })
      const { fitted, columns, error } = headCompensation(vectors, reads, { alpha: 1 })
      near(fitted!.alpha, 1, 1e-6)
      near(fitted!.interval!.low, 1, 1e-6)
      near(fitted!.interval!.high, 1, 1e-6)
      columns.massLogRatio.forEach((ratio) => near(ratio, 0, 1e-10))
      if (seed % 2 === 0) near(error, 0, 1e-6)
    }
  })

  it('without a merged slot there is no α to fit, and no row', () => {
    const { vectors, reads } = headOf(5, { merged: 0 })
    const found = headCompensation(vectors, reads, { alpha: 1 })
    assert.equal(found.fitted, null)
    assert.equal(found.columns.step.length, 0)
    assert.ok(found.error > 0)
  })

  it('one step has an α but no interval; large logits stay finite', () => {
    const { vectors, reads } = headOf(6)
    const one = headCompensation(vectors, reads.slice(0, 1), { alpha: 1 })
    assert.ok(one.fitted && one.fitted.interval === null)
    const large: HeadVectors = { ...vectors, queries: vectors.queries.map((value) => value * 1e4) }
    const { columns, error } = headCompensation(large, reads, { alpha: 1 })
    assert.ok([...columns.lnMass, ...columns.massLogRatio, ...columns.probLogRatio, error].every(Number.isFinite))
  })

  it('refuses what is not finite, does not fit or was not recorded', () => {
    const { vectors, reads } = headOf(7)
    const call = (changed: Partial<HeadVectors>, read: readonly SlotsRead[] = reads, alpha = 1) =>
      headCompensation({ ...vectors, ...changed }, read, { alpha })
    const broken = vectors.keys.slice()
    broken[vectors.headDim + 1] = NaN
    refuses(() => call({ keys: broken }), /keys of layer 1, kv head 2 should be finite, but row 1 holds NaN/)
    refuses(() => call({ values: vectors.values.map(() => Infinity) }), /values of layer 1.*Infinity/)
    refuses(() => call({ values: vectors.values.slice(vectors.headDim) }), /as many as keys/)
    refuses(() => call({ queries: vectors.queries.slice(1) }), /rows of/)
    refuses(() => call({ firstQuery: 5 + reads[0].position }), /was not recorded \(those of positions/)
    refuses(() => call({}, []), /was not read after its prompt/)
    refuses(() => call({}, reads, NaN), /alpha/)
    const slots = (origins: number[]) => [{ ...reads[0], slots: [...reads[0].slots, { slot: 99, origins }] }]
    refuses(() => call({}, slots([])), /slot 99 .* stands for no token/)
    refuses(() => call({}, slots([reads[0].position])), /each in one slot/)
    refuses(
      () => call({}, [{ ...reads[0], slots: [{ slot: 4, origins: [1, 2], seed: 3 }] }]),
      /seed 3, which is no member/,
    )
    refuses(() => call({}, slots([1e6])), /holds position 1000000/)
    refuses(() => bootstrapOf({ block: 9 }, 5), /block/)
    refuses(() => bootstrapOf({ seed: -1 }, 5), /seed/)
  })
})

describe('the bootstrap', () => {
  it('draws blocks of neighbours from anywhere, as many steps as there are, the same for the same seed', () => {
    const how = bootstrapOf({ seed: 3, resamples: 200, block: 4 }, 10)
    const draws = Array.from(resampled(10, how), (chosen) => [...chosen])
    for (const chosen of draws) {
      assert.equal(chosen.length, 10)
      chosen.forEach((step, i) => assert.ok(i % 4 === 0 ? step >= 0 && step <= 6 : step === chosen[i - 1] + 1))
    }
    const starts = new Set(draws.flatMap((chosen) => [chosen[0], chosen[4], chosen[8]]))
    assert.deepEqual([...starts].sort(), [0, 1, 2, 3, 4, 5, 6])
    assert.deepEqual(
      Array.from(resampled(10, how), (chosen) => [...chosen]),
      draws,
    )
    assert.equal(bootstrapOf({}, 64).block, 4)
    assert.equal(bootstrapOf({}, 64).resamples, 1000)
  })
})

describe('the corners of a merge', () => {
  it('all eight at once, with differences from how ZSMerge merges', () => {
    for (let seed = 0; seed < HEADS; seed++) {
      const head = headOf(seed, { merged: seed % 4 })
      const found = headAblation(head.vectors, head.reads, { alpha: 0.8, seed, resamples: 50 })
      assert.equal(found.corners.length, 8)
      assert.deepEqual(
        [...found.steps],
        head.reads.map(({ step }) => step),
      )
      const errors = found.corners.map(({ keys, values, bias, byRead }) =>
        head.reads.map((read, at) => {
          const each = Array.from(
            { length: head.vectors.group },
            (_, q) => plainly(head, read, q).under({ alpha: bias ? 0.8 : 0, keys, values }).error,
          )
          near(byRead[at], total(each) / each.length)
          return byRead[at]
        }),
      )
      found.corners.forEach((corner, i) => {
        const mean = total(errors[i]) / head.reads.length
        near(corner.error, mean)
        near(corner.difference, mean - total(errors[0]) / head.reads.length)
        assert.ok(corner.interval!.low <= mean + 1e-12 && corner.interval!.high >= mean - 1e-12)
        if (seed % 4 === 0) near(corner.difference, 0)
      })
      const [first] = found.corners
      assert.deepEqual([first.keys, first.values, first.bias], ['mean', 'mean', true])
      assert.deepEqual(first.differenceInterval, { low: 0, high: 0 })
    }
  })
})

describe('what if α were another', () => {
  it('probabilities, outputs and errors of any α, and those of the run at its own', () => {
    for (let seed = 0; seed < HEADS; seed++) {
      const head = headOf(seed)
      const read = head.reads[head.reads.length - 1]
      const how = { keys: seed % 2 ? 'mean' : 'fixed', values: seed % 3 ? 'mean' : 'fixed' } as const
      const made = whatIf(head.vectors, read, how)
      for (const alpha of [0, 0.5, 1, 2.5, -1]) {
        const answer = made.at(alpha)
        for (let q = 0; q < head.vectors.group; q++) {
          const plain = plainly(head, read, q)
          const { slotProbs, output, error } = plain.under({ alpha, ...how })
          slotProbs.forEach((prob, i) => near(answer.probs[q][i], prob))
          output.forEach((value, j) => near(answer.outputs[q][j], value))
          near(answer.errors[q], error)
          read.slots.forEach(({ origins }, i) =>
            near(made.membersProbs[q][i], total(origins.map((origin) => plain.probs[origin]))),
          )
        }
      }
      const { error } = headCompensation(head.vectors, [read], { alpha: 1, ...how })
      near(made.at(1).error, error)
    }
  })

  it('4,096 slots of 8,000 tokens', () => {
    const head = headOf(1, { group: 3, headDim: 4, promptTokens: 8000, tokens: 8001, merged: 900, gone: 900 })
    const made = whatIf(head.vectors, head.reads[0])
    assert.ok(made.weights.length > 4096)
    near(total([...made.at(1).probs[2]]), 1)
    refuses(() => made.at(NaN), /alpha/)
  })
})
