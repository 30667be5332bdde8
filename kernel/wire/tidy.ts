/**
 * Collects garbage while the kernel has nothing to do. This process lives as long as its notebook on a heap of a few megabytes, and
 * each message leaves some behind: V8 by itself lets ten times as much lie before it looks.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Beyond what the last collection left, half of it and this much may lie. */
const SLACK_BYTES = 4 * 1024 * 1024

export class Tidy {
  private kept = 0

  /** To be called between requests; collects once in some hundred of them. */
  between(): void {
    const used = () => getHeapStatistics().used_heap_size
    if (used() < 1.5 * this.kept + SLACK_BYTES) return
    collect()
    this.kept = used()
  }
}
