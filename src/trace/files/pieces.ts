/** A file in pieces: large ones are never joined in memory. */

/** Bytes below which neighbours are joined. */
const LEAST = 1 << 20

/** As flechette and hyparquet-writer want their output to be taken. */
export class Pieces {
  private readonly done: Uint8Array[] = []
  private small: Uint8Array[] = []
  private bytes = 0

  /** `piece` must not change any more. */
  write(piece: Uint8Array): void {
    this.small.push(piece)
    this.bytes += piece.byteLength
    if (this.bytes >= LEAST) this.join()
  }

  pad(bytes: number): void {
    this.write(new Uint8Array(bytes))
  }

  finish(): null {
    this.join()
    return null
  }

  /** All of them, in order. */
  get all(): Uint8Array[] {
    return this.done
  }

  private join(): void {
    if (this.bytes) this.done.push(this.small.length > 1 ? Buffer.concat(this.small) : this.small[0])
    this.small = []
    this.bytes = 0
  }
}
