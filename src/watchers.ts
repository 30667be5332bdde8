/** Who looks on while a session works: told after each call on its cache, when it can be read, and when the session comes to rest. */

export interface Watcher {
  /** The session goes on once what it returns is resolved. */
  moved(): Promise<void> | undefined
  rested(): void
}

export class Watchers {
  private readonly all = new Set<Watcher>()

  /** Returns what ends it. */
  add(watcher: Watcher): () => void {
    this.all.add(watcher)
    return () => void this.all.delete(watcher)
  }

  /** Resolves when all have looked; undefined: nobody wants to. */
  moved(): Promise<unknown> | undefined {
    if (!this.all.size) return undefined
    const looks = [...this.all].flatMap((watcher) => watcher.moved() ?? [])
    return looks.length ? Promise.all(looks) : undefined
  }

  rested(): void {
    for (const watcher of this.all) watcher.rested()
  }
}
