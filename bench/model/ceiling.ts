/** What a step must read at least, and how fast this machine reads: native/bench/ceiling.cpp, asked in turns with what is judged. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Model } from '../../src/index.js'
import { projectRoot } from '../../src/native/binding.js'
import { lines, type Lines } from './lines.js'

const PROGRAM = join(projectRoot, 'build/bench/bench_ceiling')
/** Of a number in a cache: bfloat16 or float16. */
const CACHED = 2

/**
 * Bytes that a step reads at least: every weight once as its file has it (of an embedding that is not the output head, too, next to
 * nothing), and keys and values of `slots` a kv head.
 */
export function stepBytes({ file, description: d }: Model, slots: number): number {
  const read = file.gguf.tensors.filter(({ name }) => d.tiedOutput || name !== 'token_embd.weight')
  const weights = read.reduce((sum, { bytes }) => sum + bytes, 0)
  return weights + 2 * d.layers * d.kvHeads * d.headDim * slots * CACHED
}

export class Ceiling {
  private constructor(
    private readonly child: Lines,
    readonly patterns: string[],
  ) {}

  /** undefined where the program was not built: then no share is known. */
  static async start(threads: number): Promise<Ceiling | undefined> {
    if (!existsSync(PROGRAM)) return undefined
    const child = lines(PROGRAM, ['serve', String(threads)])
    return new Ceiling(child, (await child.ask('')).split(','))
  }

  /** GB/s (10⁹ bytes) of reading `bytes`, by pattern. */
  async rates(bytes: number): Promise<number[]> {
    return (await this.child.ask(String(bytes))).trim().split(' ').map(Number)
  }

  end(): Promise<void> {
    return this.child.end()
  }
}
