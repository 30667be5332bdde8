/** The last of many texts, so that one that comes again is known. */
export class Seen {
  private readonly known = new Set<string>()
  private readonly order: string[] = []
  private next = 0

  /** More than `most` are forgotten, the oldest first. */
  constructor(private readonly most: number) {}

  has(text: string): boolean {
    return this.known.has(text)
  }

  /** `text` is one that it does not have. */
  add(text: string): void {
    if (this.order.length === this.most) this.known.delete(this.order[this.next])
    this.order[this.next] = text
    this.known.add(text)
    this.next = (this.next + 1) % this.most
  }
}
