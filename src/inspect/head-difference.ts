/** One kv head of two runs: which of the tokens that both have are kept, and what became of the others in either. */

/** kept: a slot of its own. merged: it shares one. */
export const TOKEN_FATES = ['kept', 'merged', 'dropped'] as const
export type TokenFate = (typeof TOKEN_FATES)[number]
const [KEPT, MERGED, DROPPED] = TOKEN_FATES.keys()

/** The positions that each slot stands for. */
export type Slots = readonly ArrayLike<number>[]

/** Arrays by position, of the tokens that both runs have. */
export interface HeadDifference {
  /** Into TOKEN_FATES, under a and under b. */
  fates: [a: Uint8Array, b: Uint8Array]
  /** Where the token is; −1: dropped. */
  slots: [a: Int32Array, b: Int32Array]
  /** 1: its fate differs, or it is merged in both, in slots that are not each other's counterparts. */
  changed: Uint8Array
}

/**
 * What became of positions 0 … count − 1. Merged slots have no names that hold for both runs: counterparts are those that have most tokens
 * in common, each at most once (the lower slots first where two pairs are equal).
 */
export function headDifference(a: Slots, b: Slots, count: number): HeadDifference {
  const [of, other] = [placesOf(a, count), placesOf(b, count)]
  const counterpart = counterparts(of, other)
  const changed = new Uint8Array(count)
  for (let position = 0; position < count; position++) {
    const fate = of.fate[position]
    changed[position] = Number(
      fate !== other.fate[position] || (fate === MERGED && counterpart.get(of.slot[position]) !== other.slot[position]),
    )
  }
  return { fates: [of.fate, other.fate], slots: [of.slot, other.slot], changed }
}

function placesOf(slots: Slots, count: number): { fate: Uint8Array; slot: Int32Array } {
  const fate = new Uint8Array(count).fill(DROPPED)
  const slot = new Int32Array(count).fill(-1)
  slots.forEach((members, at) => {
    const own = members.length > 1 ? MERGED : KEPT
    for (let i = 0; i < members.length; i++) {
      if (members[i] >= count) continue
      fate[members[i]] = own
      slot[members[i]] = at
    }
  })
  return { fate, slot }
}

/** Of a's merged slots, those of b. */
function counterparts(a: ReturnType<typeof placesOf>, b: ReturnType<typeof placesOf>): Map<number, number> {
  const shared = new Map<number, Map<number, number>>()
  a.fate.forEach((fate, position) => {
    if (fate !== MERGED || b.fate[position] !== MERGED) return
    const [from, to] = [a.slot[position], b.slot[position]]
    const row = shared.get(from) ?? new Map<number, number>()
    shared.set(from, row.set(to, (row.get(to) ?? 0) + 1))
  })
  const pairs = [...shared].flatMap(([from, row]) => [...row].map(([to, tokens]) => ({ from, to, tokens })))
  pairs.sort((x, y) => y.tokens - x.tokens || x.from - y.from || x.to - y.to)
  const found = new Map<number, number>()
  const taken = new Set<number>()
  for (const { from, to } of pairs) {
    if (found.has(from) || taken.has(to)) continue
    found.set(from, to)
    taken.add(to)
  }
  return found
}

/** Numbers of one head. */
export interface HeadCounts {
  /** Tokens kept under both, and under one only. */
  both: number
  onlyA: number
  onlyB: number
  /** both / (both + onlyA + onlyB): 1 = the same tokens are kept, where none is, too. */
  jaccard: number
  /** Tokens by fate, [a][b], in the order of TOKEN_FATES. */
  fates: number[][]
  /** Merged under both, in slots that are not each other's counterparts. */
  elsewhere: number
  /** Tokens whose fate differs, and those that are merged elsewhere. */
  changed: number
}

export function countsOfHead({ fates: [a, b], changed }: HeadDifference): HeadCounts {
  const fates = TOKEN_FATES.map(() => TOKEN_FATES.map(() => 0))
  let [elsewhere, all] = [0, 0]
  for (let position = 0; position < a.length; position++) {
    fates[a[position]][b[position]]++
    all += changed[position]
    if (a[position] === b[position]) elsewhere += changed[position]
  }
  const both = fates[KEPT][KEPT]
  const onlyA = fates[KEPT][MERGED] + fates[KEPT][DROPPED]
  const onlyB = fates[MERGED][KEPT] + fates[DROPPED][KEPT]
  const either = both + onlyA + onlyB
  return { both, onlyA, onlyB, jaccard: either ? both / either : 1, fates, elsewhere, changed: all }
}
