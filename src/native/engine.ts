/** Engines: a thread pool and the kernels for this CPU, shared by everything made with the same threads and isa. */
import { availableParallelism } from 'node:os'
import { integer, oneOf } from '../expect.js'
import { engineText } from '../show/file-texts.js'
import { showsItself } from '../show/show.js'
import { native, type NativeEngine } from './binding.js'

export const ISAS = ['generic', 'avx2', 'avx512'] as const
export type Isa = 'best' | (typeof ISAS)[number]
export const STORAGES = ['float32', 'float16', 'bfloat16'] as const
/** How keys and values are kept; sums are float32 whatever it is. */
export type Storage = (typeof STORAGES)[number]

export interface EngineOptions {
  /** 1 to 256; default: the CPUs that this process may use. The result does not depend on it. */
  threads?: number
  /** Instruction set; default the best that the CPU has. */
  isa?: Isa
}

export interface EngineInfo {
  isa: string
  threads: number
  cpuFeatures: string[]
  /** What multiplies matrices: "oneDNN 3.2.0" or "portable". */
  library: string
  abi: number
}

export interface Engine {
  native: NativeEngine
  info: EngineInfo
}

// Held weakly: an engine goes when nothing made with it is left, its threads with it.
const engines = new Map<string, WeakRef<Engine>>()

/** The engine for `options`. Errors: 'invalid', 'unsupported' (an instruction set that the CPU lacks), 'native'. */
export function engineOf(options: EngineOptions = {}): Engine {
  const threads = options.threads === undefined ? availableParallelism() : integer('threads', options.threads, 1, 256)
  const isa = options.isa === undefined ? 'best' : oneOf('isa', options.isa, ['best', ...ISAS])
  const key = `${threads} ${isa}`
  const found = engines.get(key)?.deref()
  if (found) return found
  const addon = native()
  const made = addon.engineCreate(threads, ISAS.indexOf(isa as (typeof ISAS)[number]))
  const info = JSON.parse(addon.engineDescribe(made)) as EngineInfo
  const engine = showsItself({ native: made, info }, engineText)
  engines.set(key, new WeakRef(engine))
  return engine
}
