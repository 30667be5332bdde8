/** What a page makes of the document of explore(): the same code, without a page. */
import type { explore } from '../../../src/index.js'
import { EXPLORER_MIME, type ExplorerData } from '../../../src/explorer/data.js'
import { opened, storyOf, eventsOf } from '../../../src/explorer/page/unpack.js'
import type { HeadStory } from '../../../src/explorer/story.js'

export const bundleOf = (explorer: ReturnType<typeof explore>) =>
  (explorer as unknown as Record<symbol, () => Record<string, unknown>>)[Symbol.for('Jupyter.display')]()

export const documentOf = (explorer: ReturnType<typeof explore>) => bundleOf(explorer)[EXPLORER_MIME] as ExplorerData

/** The story of one head in a document. */
export async function storyIn(data: ExplorerData, key: string, run = 0): Promise<HeadStory> {
  return storyOf(await eventsOf(data.runs[run].heads[key]), data.runs[run])
}

export { opened }
