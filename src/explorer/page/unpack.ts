/** What a document holds, unpacked in the page: its texts, its small pictures, and the events of a head. */
import type { ExplorerRun, Packed } from '../data.js'
import { eventsOfBytes, Varints, type HeadEvents } from '../events.js'
import { HeadStory } from '../story.js'

export async function inflated(packed: Packed): Promise<Uint8Array> {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

export interface OpenRun {
  run: ExplorerRun
  text: (position: number) => string
  small: Uint8Array
}

export async function opened(run: ExplorerRun): Promise<OpenRun> {
  const { words, numbers, count } = run.tokens
  const which = new Varints(await inflated(numbers)).take(count)
  return { run, text: (position) => words[which[position]] ?? '', small: await inflated(run.small.values) }
}

export const storyOf = (events: HeadEvents, run: ExplorerRun) => new HeadStory(events, run.tokens.count, run.lastStep)

export const eventsOf = async (packed: Packed) => eventsOfBytes(await inflated(packed))
