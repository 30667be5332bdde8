/** Which events are of one kv head: an index of stretches, since a prompt's events come head by head, millions of them. */

interface Heads {
  layer: ArrayLike<number>
  kvHead: ArrayLike<number>
  step: ArrayLike<number>
}

export class HeadRows {
  /** Stretches of rows of one head, in order: where each begins, and where the last one ends. */
  private readonly starts: number[] = []
  /** By stretch: its head. */
  private readonly heads: number[] = []
  /** By head: its stretches. */
  private readonly stretches: number[][]

  /** In one pass over layer and kvHead; `heads` = layers × kvHeads. */
  constructor({ layer, kvHead, step }: Heads, kvHeads: number, heads: number) {
    this.stretches = Array.from({ length: heads }, () => [])
    const { length } = step
    let now = -1
    for (let row = 0; row < length; row++) {
      const head = layer[row] * kvHeads + kvHead[row]
      if (head === now) continue
      now = head
      this.stretches[head].push(this.starts.push(row) - 1)
      this.heads.push(head)
    }
    this.starts.push(length)
  }

  /** The head of the first row; −1: there is none. */
  first(): number {
    return this.heads[0] ?? -1
  }

  /** Every stretch in order: its head, its first row and the one after its last. */
  each(visit: (head: number, from: number, to: number) => void): void {
    const { heads, starts } = this
    for (let i = 0; i < heads.length; i++) visit(heads[i], starts[i], starts[i + 1])
  }

  /** Rows of the head numbered layer * kvHeads + kvHead, in order. */
  of(head: number): Int32Array {
    const { starts } = this
    const own = this.stretches[head]
    const rows = new Int32Array(own.reduce((sum, at) => sum + starts[at + 1] - starts[at], 0))
    let i = 0
    for (const at of own) for (let row = starts[at]; row < starts[at + 1]; row++) rows[i++] = row
    return rows
  }
}
