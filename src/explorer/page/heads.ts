/** Stories of heads as they are needed: from the document, else from a kernel that still has the run. The latest are kept. */
import { headKey, type ExplorerRun, type Packed } from '../data.js'
import type { HeadStory } from '../story.js'
import type { Link, Words } from '../../comm/page/link.js'
import { eventsOf, storyOf, type OpenRun } from './unpack.js'

const KEPT = 6
const MISSING = 'This head is not in the saved output'
export const WORDS: Words = {
  notThere: `${MISSING}, which has room for 2 MB, and no kernel has the run: run the cell again to see it.`,
  gone: (reason) => `${MISSING}, and ${reason}.`,
  late: 'The kernel does not answer: it may be busy; choose the head again.',
}

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
    const packed = of.heads[key] ?? (await this.ask(run, key))
    const story = storyOf(await eventsOf(packed), of)
    // The run may have gone on meanwhile: then this head is asked for again.
    if (this.runs[run].run === of) this.keep(run, key, story)
    return story
  }

  private async ask(run: number, key: string): Promise<Packed> {
    const { head } = await this.link.ask({ run, key })
    if (typeof head !== 'string') throw new Error(WORDS.notThere)
    return head
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
