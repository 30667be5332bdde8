/** How much heads lose together and how far they keep the same: Global Eviction Ratio and Jaccard, of a layer and of the model. */

/** A share for all kv heads together, and for those of each layer. */
export interface ByLayer<T> {
  model: T
  layers: T[]
}

/** Which of `count` positions each kv head keeps: [layers, kvHeads, positions], 1 = kept. */
export interface Keeps {
  layers: number
  kvHeads: number
  count: number
  kept: ArrayLike<number>
}

/** Global Eviction Ratio (arXiv 2603.01426): the share of positions that no head keeps. */
export function globalEviction({ layers, kvHeads, count, kept }: Keeps): ByLayer<number> {
  const share = (from: number, to: number) => {
    let gone = 0
    for (let i = 0; i < count; i++) {
      let head = from
      while (head < to && !kept[head * count + i]) head++
      if (head === to) gone++
    }
    return gone / count
  }
  return {
    model: share(0, layers * kvHeads),
    layers: Array.from({ length: layers }, (_, layer) => share(layer * kvHeads, (layer + 1) * kvHeads)),
  }
}

/** Mean over pairs of heads of |both keep| / |either keeps|; pairs that keep nothing are left out, null where all do. */
export function agreement(keeps: Keeps): ByLayer<number | null> {
  const { layers, kvHeads } = keeps
  const sets = bitsOf(keeps)
  const mean = (from: number, to: number) => {
    let [sum, pairs] = [0, 0]
    for (let a = from; a < to; a++)
      for (let b = a + 1; b < to; b++) {
        const share = jaccard(sets[a], sets[b])
        if (Number.isNaN(share)) continue
        sum += share
        pairs++
      }
    return pairs ? sum / pairs : null
  }
  return {
    model: mean(0, layers * kvHeads),
    layers: Array.from({ length: layers }, (_, layer) => mean(layer * kvHeads, (layer + 1) * kvHeads)),
  }
}

/** A bit for each position. */
function bitsOf({ layers, kvHeads, count, kept }: Keeps): Uint32Array[] {
  return Array.from({ length: layers * kvHeads }, (_, head) => {
    const bits = new Uint32Array((count + 31) >> 5)
    for (let i = 0; i < count; i++) if (kept[head * count + i]) bits[i >> 5] |= 1 << (i & 31)
    return bits
  })
}

function jaccard(a: Uint32Array, b: Uint32Array): number {
  let [both, either] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    both += ones(a[i] & b[i])
    either += ones(a[i] | b[i])
  }
  return both / either
}

function ones(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55555555)
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
