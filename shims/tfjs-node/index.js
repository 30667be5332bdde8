// Stands in for @tensorflow/tfjs-node: tfjs-core with the CPU backend, the chained methods that danfojs calls on tensors,
// and the one piece of tf.data that its sample() uses. The real package downloads a native binary when it installs.
'use strict'
const core = require('@tensorflow/tfjs-core')
core.env().set('IS_TEST', true) // silences the advice to install tfjs-node, which is what this is
require('@tensorflow/tfjs-backend-cpu')

// tfjs-core's own files that add these methods are ES modules without file extensions, which Node cannot load.
const chained =
  'abs add all any argMax argMin asType cast ceil clipByValue concat cumsum div divNoNan equal exp expandDims floor gather greater ' +
  'greaterEqual less lessEqual log log1p logicalAnd logicalNot logicalOr matMul max maximum mean min minimum mod mul neg norm ' +
  'notEqual pow prod reciprocal reshape round rsqrt sign slice sqrt square squaredDifference squeeze stack sub sum tile transpose ' +
  'unstack where isNaN isInf isFinite floorDiv floorMod'
for (const name of chained.split(' ')) {
  const op = core[name]
  if (typeof op !== 'function' || core.Tensor.prototype[name]) continue
  core.Tensor.prototype[name] = function (...rest) {
    this.throwIfDisposed()
    return name === 'where' ? op(rest[0], this, rest[1]) : op(this, ...rest)
  }
}
core.Tensor.prototype.asType = function (dtype) {
  return core.cast(this, dtype)
}
core.Tensor.prototype.flatten = function () {
  return core.reshape(this, [this.size])
}

/** Numbers in [0, 1) from a text seed (FNV-1a into mulberry32); without a seed Math.random. */
function uniform(seed) {
  if (seed === undefined) return Math.random
  let state = 2166136261
  for (const char of String(seed)) state = Math.imul(state ^ char.codePointAt(0), 16777619)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

class Items {
  constructor(items) {
    this.items = items
  }
  /** Every order equally likely; the buffer size of tf.data is not needed, everything is in memory. */
  shuffle(_bufferSize, seed) {
    const items = [...this.items]
    const next = uniform(seed)
    for (let i = items.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1))
      ;[items[i], items[j]] = [items[j], items[i]]
    }
    return new Items(items)
  }
  take(count) {
    return new Items(this.items.slice(0, count))
  }
  async toArray() {
    return [...this.items]
  }
}

module.exports = { ...core, data: { array: (items) => new Items(Array.from(items)) } }
