/** Stories of heads as they are needed: from the document, else from a kernel that still has the run. The latest are kept. */
import { headKey, type ExplorerRun } from '../data.js'
import type { HeadStory } from '../story.js'
import type { Link } from './link.js'
import { eventsOf, storyOf, type OpenRun } from './unpack.js'

const KEPT = 6

export class Heads {
  private readonly stories: Map<string, HeadStory>[]

  constructor(
    private readonly runs: readonly OpenRun[],
    private readonly link: Link,
  ) {
    this.stories = runs.map(() => new Map<string, HeadStory>())
  }

  /** Whether the document itself has it. */
  has(run: number, layer: number, kvHead: number): boolean {
    return headKey(layer, kvHead) in this.runs[run].run.heads
  }

  /** The story where it is at hand. */
  at(run: number, layer: number, kvHead: number): HeadStory | undefined {
    return this.stories[run].get(headKey(layer, kvHead))
  }

  /** Rejects with a sentence where there is no way to it. */
  async get(run: number, layer: number, kvHead: number): Promise<HeadStory> {
    const key = headKey(layer, kvHead)
    const found = this.stories[run].get(key)
    if (found) return found
    const of = this.runs[run].run
    const packed = of.heads[key] ?? (await this.link.ask(run, key))
    const story = storyOf(await eventsOf(packed), of)
    // The run may have gone on meanwhile: then this head is asked for again.
    if (this.runs[run].run === of) this.keep(run, key, story)
    return story
  }

  /** What a run has of this head now; what was known of it and of all others is from before. */
  renew(run: number, key: string, story: HeadStory | undefined): void {
    this.stories[run].clear()
    if (story) this.keep(run, key, story)
  }

  private keep(run: number, key: string, story: HeadStory): void {
    const { [run]: kept } = this.stories
    kept.set(key, story)
    for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest)
  }
}

/** The story of a head in a document; undefined: it has no room for it. */
export async function storyIn(run: ExplorerRun, key: string): Promise<HeadStory | undefined> {
  return key in run.heads ? storyOf(await eventsOf(run.heads[key]), run) : undefined
}
