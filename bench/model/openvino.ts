/** OpenVINO GenAI, installed on demand from Python's index into a folder of its own, in a child process (openvino_pipelines.py). */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectRoot } from '../../src/native/binding.js'
import { missing, pip } from '../../scripts/python.mjs'
import { lines, type Lines } from './lines.js'
import type { Peer } from './peers.js'

const FOLDER = join(projectRoot, 'build/bench/openvino')
const PACKAGES = ['openvino-genai==2026.4.1.0', 'openvino-tokenizers==2026.4.1.0', 'openvino==2026.4.1', 'numpy==2.4.6']

export interface OpenVinoOptions {
  /** Slots to which it evicts after the prompt; a multiple of 32. Default: it keeps all. */
  evict?: number
  /** Of activations and products; default: its own choice, bfloat16 where the CPU multiplies it. */
  precision?: 'f32'
}

export class OpenVino {
  private opened = 0
  private constructor(
    private readonly child: Lines,
    private readonly threads: number,
    readonly name: string,
  ) {}

  /** Throws where it cannot be installed, or does not run here. */
  static async start(threads: number): Promise<OpenVino> {
    mkdirSync(FOLDER, { recursive: true })
    const lacking = missing(FOLDER, PACKAGES)
    const failed = lacking.length ? await pip(FOLDER, lacking) : undefined
    if (failed) throw new Error(failed)
    const script = fileURLToPath(new URL('./openvino_pipelines.py', import.meta.url))
    const child = lines(join(FOLDER, '.venv/bin/python'), [script])
    const { version } = JSON.parse(await child.ask(JSON.stringify({ do: 'version' }))) as { version: string }
    return new OpenVino(child, threads, `OpenVINO GenAI ${version.split('-')[0]}`)
  }

  /** A pipeline of its own, with the GGUF file at `model`. */
  async peer(model: string, { evict, precision }: OpenVinoOptions = {}): Promise<Peer> {
    const name = String(++this.opened)
    await this.ask({ do: 'open', name, model, threads: this.threads, evict, precision })
    return {
      prompt: async (ids) => (await this.ask({ do: 'prompt', name, ids: Array.from(ids) })) as number,
      decode: async (count) => (await this.ask({ do: 'decode', name, count })) as number[],
      dispose: async () => void (await this.ask({ do: 'close', name })),
    }
  }

  private async ask(asked: object): Promise<number | number[] | undefined> {
    const { ms, error } = JSON.parse(await this.child.ask(JSON.stringify(asked))) as Record<string, never>
    if (error) throw new Error(`OpenVINO: ${error}`)
    return ms
  }

  end(): Promise<void> {
    return this.child.end()
  }
}
