/** Tokens from logits: ties, candidates, the drawn distribution against the exact one. */
import assert from 'node:assert/strict'
import { argmax, candidates, generator, klDivergence, logProb, sampler, samplingOf } from '../../src/sampling.js'
import { cases } from '../scale.js'

const logits = Float32Array.of(0.5, 2, -1, 2, 1, -3, 0)
const exact = (temperature: number) => {
  const raw = Array.from(logits, (l) => Math.exp(l / temperature))
  const sum = raw.reduce((a, b) => a + b, 0)
  return raw.map((p) => p / sum)
}

describe('sampling', () => {
  it('greedy takes the lowest id among equals, and never a NaN', () => {
    assert.equal(argmax(logits), 1)
    assert.equal(argmax(Float32Array.of(NaN, -1, NaN, -0.5)), 3)
    assert.equal(argmax(Float32Array.of(-Infinity, -3, NaN)), 1)
  })

  it('where no logit or not the largest is finite, that is an error, never a token', () => {
    const ways = [{}, { temperature: 1 }, { topK: 2 }, { topP: 0.5 }, { minP: 0.1 }, { topK: 3, topP: 0.9, minP: 0.1 }]
    for (const options of ways) {
      const pick = sampler(samplingOf({ seed: 1, ...options }))
      for (const none of [[NaN, NaN], [-Infinity, -Infinity, -Infinity], [NaN, -Infinity], []])
        assert.throws(() => pick(Float32Array.from(none)), /no finite logit: check the weights/)
      for (const infinite of [
        [1, Infinity],
        [Infinity, Infinity],
        [NaN, Infinity, -Infinity],
      ])
        assert.throws(() => pick(Float32Array.from(infinite)), /logit of token [01] is infinite: check the weights/)
      for (const seed of [1, 2, 3, 4, 5])
        assert.equal(sampler(samplingOf({ ...options, seed }))(Float32Array.of(NaN, -Infinity, 2, NaN)), 2)
    }
  })

  it('filters in the order temperature, topK, topP, minP', () => {
    const ids = (p: number[], options: object) =>
      candidates(Float32Array.from(p, Math.log), samplingOf({ seed: 1, ...options })).ids
    assert.deepEqual(ids([0.5, 0.3, 0.2], { topK: 3, topP: 0.6, minP: 0.45 }), [0, 1])
    // topP is of what topK kept: 0.4 of 0.7 is less than 0.6.
    assert.deepEqual(ids([0.4, 0.3, 0.2, 0.1], { topK: 2, topP: 0.6 }), [0, 1])
    assert.deepEqual(ids([0.4, 0.3, 0.2, 0.1], { topK: 2, topP: 0.55 }), [0])
    // What reaches topP exactly is enough.
    assert.deepEqual(ids([0.5, 0.5], { topP: 0.5 }), [0])
    // topP is not of what minP leaves: 0.4 + 0.3 < 0.75, though 0.7 of 0.9 is more.
    assert.deepEqual(ids([0.4, 0.3, 0.2, 0.1], { topP: 0.75, minP: 0.4 }), [0, 1, 2])
    // The largest is compared after temperature: 0.09 / 0.81 = (0.3 / 0.9)².
    assert.deepEqual(ids([0.9, 0.3], { temperature: 0.5, minP: 0.2 }), [0])
    assert.deepEqual(ids([0.9, 0.3], { temperature: 1, minP: 0.2 }), [0, 1])
  })

  it('keeps the candidates that topK, topP and minP say', () => {
    const ids = (options: object) => candidates(logits, samplingOf({ temperature: 1, seed: 1, ...options })).ids
    assert.deepEqual(ids({}), [1, 3, 4, 0, 6, 2, 5])
    assert.deepEqual(ids({ topK: 3 }), [1, 3, 4])
    const p = exact(1)
    assert.deepEqual(ids({ topP: p[1] + p[3] - 1e-6 }), [1, 3])
    assert.deepEqual(ids({ topP: p[1] + p[3] + 1e-6 }), [1, 3, 4])
    assert.deepEqual(ids({ topP: 1e-9 }), [1])
    assert.deepEqual(ids({ minP: Math.exp(-1) - 1e-9 }), [1, 3, 4])
    assert.deepEqual(ids({ topK: 4, topP: 0.9, minP: 0.5 }), [1, 3])
  })

  it('draws with the right probabilities', () => {
    const n = cases(200_000, 40_000)
    for (const options of [{ temperature: 0.7 }, { temperature: 1.3, topK: 4 }]) {
      const sampling = samplingOf({ ...options, seed: 11 })
      const pick = sampler(sampling)
      const counts = new Float64Array(logits.length)
      for (let i = 0; i < n; i++) counts[pick(logits)]++
      const { ids } = candidates(logits, sampling)
      const p = exact(options.temperature)
      const within = ids.reduce((sum, id) => sum + p[id], 0)
      for (let id = 0; id < logits.length; id++) {
        const expected = ids.includes(id) ? p[id] / within : 0
        // Five standard deviations.
        assert.ok(Math.abs(counts[id] / n - expected) <= 5 * Math.sqrt((expected * (1 - expected)) / n), `${id}`)
      }
    }
  })

  it('a seed fixes the draws, another changes them', () => {
    const draws = (seed: number) => Array.from({ length: 8 }, generator(seed))
    assert.deepEqual(draws(5), draws(5))
    assert.notDeepEqual(draws(5), draws(6))
    assert.ok(draws(0).every((value) => value >= 0 && value < 1))
  })

  it('refuses what would have no effect', () => {
    assert.throws(() => samplingOf({ temperature: 0, topK: 3 }), /no effect at temperature 0/)
    assert.throws(() => samplingOf({ topP: 0 }), /above 0/)
    assert.throws(() => samplingOf({ seed: -1 }), /seed/)
    assert.equal(samplingOf({ topK: 3 }).temperature, 1)
    assert.equal(samplingOf({}).temperature, 0)
  })

  it('log-probabilities and divergence', () => {
    assert.ok(Math.abs(logProb(logits, 4) - Math.log(exact(1)[4])) < 1e-7)
    assert.equal(klDivergence(logits, logits), 0)
    const masked = Float32Array.of(1, -Infinity, 2)
    assert.equal(klDivergence(masked, masked), 0)
    assert.ok(Number.isFinite(klDivergence(masked, Float32Array.of(1, 1, 2))))
    assert.equal(klDivergence(Float32Array.of(1, 1, 2), masked), Infinity)
    const other = logits.map((l, i) => l + (i % 2))
    const [p, q] = [exact(1), Array.from(other, (_, i) => Math.exp(logProb(other, i)))]
    const expected = p.reduce((sum, pi, i) => sum + pi * Math.log(pi / q[i]), 0)
    assert.ok(Math.abs(klDivergence(logits, other) - expected) < 1e-9)
  })
})
