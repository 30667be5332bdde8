/** Stories of heads as they are needed: from the document, else from a kernel that still has the run. The latest are kept. */
import { EXPLORER_COMM, headKey, type ExplorerData, type Packed } from '../data.js'
import type { HeadStory } from '../story.js'
import { eventsOf, storyOf } from './unpack.js'

/** What the page needs of JupyterLab's connection to a kernel. */
export interface Kernel {
  createComm(target: string): Comm
}
interface Comm {
  open(data: Record<string, unknown>): unknown
  send(data: Record<string, unknown>): unknown
  close(): unknown
  onMsg: (message: { content: { data: Record<string, unknown> } }) => void
  onClose: (message: { content: { data: Record<string, unknown> } }) => void
}

const KEPT = 6
const WAIT_MS = 20_000

export class Heads {
  private readonly stories: Map<string, HeadStory>[]
  private readonly waiting = new Map<string, (head: Packed | undefined, why?: string) => void>()
  private comm: Comm | undefined

  constructor(
    private readonly data: ExplorerData,
    private readonly kernel: () => Kernel | undefined,
  ) {
    this.stories = data.runs.map(() => new Map<string, HeadStory>())
  }

  /** Whether the document itself has it. */
  has(run: number, layer: number, kvHead: number): boolean {
    return headKey(layer, kvHead) in this.data.runs[run].heads
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
    const packed = this.data.runs[run].heads[key] ?? (await this.asked(run, key))
    const story = storyOf(await eventsOf(packed), this.data.runs[run])
    const { [run]: kept } = this.stories
    kept.set(key, story)
    for (const oldest of kept.keys()) if (kept.size > KEPT) kept.delete(oldest)
    return story
  }

  private asked(run: number, key: string): Promise<Packed> {
    return new Promise((resolve, reject) => {
      const name = `${run} ${key}`
      const end = (head: Packed | undefined, why = NOT_THERE) => {
        clearTimeout(late)
        this.waiting.delete(name)
        if (head) resolve(head)
        else reject(new Error(why))
      }
      const late = setTimeout(
        () => end(undefined, 'The kernel does not answer: it may be busy; choose the head again.'),
        WAIT_MS,
      )
      this.waiting.set(name, end)
      try {
        this.comm ??= this.open()
        this.comm.send({ run, key })
      } catch {
        this.comm = undefined
        end(undefined)
      }
    })
  }

  private open(): Comm {
    const kernel = this.kernel()
    if (!kernel) throw new Error(NOT_THERE)
    const comm = kernel.createComm(EXPLORER_COMM)
    comm.onMsg = ({ content: { data } }) => {
      if ('key' in data)
        this.waiting.get(`${Number(data.run)} ${String(data.key)}`)?.((data.head as Packed | null) ?? undefined)
    }
    comm.onClose = ({ content: { data } }) => {
      this.comm = undefined
      for (const end of [...this.waiting.values()])
        end(
          undefined,
          typeof data?.reason === 'string' ? `This head is not in the saved output, and ${data.reason}.` : NOT_THERE,
        )
    }
    comm.open({ id: this.data.id })
    return comm
  }

  dispose(): void {
    for (const end of [...this.waiting.values()]) end(undefined)
    try {
      this.comm?.close()
    } catch {
      // The kernel went first.
    }
  }
}

const NOT_THERE =
  'This head is not in the saved output, which has room for 2 MB, and no kernel has the run: run the cell again to see it.'
