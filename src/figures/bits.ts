/** A yes or no for each of many whole numbers, a bit each, counted over any stretch of them. */

/** 32-bit words that hold so many. */
export const wordsOf = (length: number) => Math.ceil(length / 32)

export class Bits {
  constructor(
    readonly length: number,
    /** wordsOf(length) of them. */
    readonly words: Uint32Array = new Uint32Array(wordsOf(length)),
  ) {}

  set(at: number): void {
    this.words[at >>> 5] |= 1 << (at & 31)
  }

  clear(at: number): void {
    this.words[at >>> 5] &= ~(1 << (at & 31))
  }

  setAll(): void {
    this.words.fill(-1)
  }

  has(at: number): boolean {
    return ((this.words[at >>> 5] >>> (at & 31)) & 1) === 1
  }

  /** How many are set from `from` up to, and without, `to`. */
  count(from = 0, to = this.length): number {
    const end = Math.min(to, this.length)
    if (from >= end) return 0
    const [first, last] = [from >>> 5, (end - 1) >>> 5]
    let sum = 0
    for (let word = first; word <= last; word++) {
      let bits = this.words[word]
      if (word === first) bits &= -1 << (from & 31)
      if (word === last && end & 31) bits &= (1 << (end & 31)) - 1
      sum += ones(bits)
    }
    return sum
  }
}

/** Bits that are set in 32. */
function ones(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x5555_5555)
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
