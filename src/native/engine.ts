/** Engines: a thread pool, the kernels for this CPU and a device, shared by everything made with the same options. */
import { availableParallelism } from 'node:os'
import { integer, oneOf } from '../expect.js'
import { engineText } from '../show/file-texts.js'
import { showsItself } from '../show/show.js'
import { native, type NativeEngine } from './binding.js'
import { chosenDevice, useDevice, type DeviceInfo, type DeviceOptions } from './device.js'

export const ISAS = ['generic', 'avx2', 'avx512'] as const
export type Isa = 'best' | (typeof ISAS)[number]
export const STORAGES = ['float32', 'float16', 'bfloat16'] as const
/** How keys and values are kept; sums are float32 whatever it is. */
export type Storage = (typeof STORAGES)[number]

export interface EngineOptions extends DeviceOptions {
  /** 1 to 256; default: the CPUs that this process may use. The result does not depend on it. */
  threads?: number
  /** Instruction set; default the best that the CPU has. */
  isa?: Isa
}

/** Names of EngineOptions. */
export const ENGINE_OPTIONS = ['threads', 'isa', 'device', 'deviceMemory']

export interface EngineInfo {
  isa: string
  threads: number
  cpuFeatures: string[]
  /** Whether the CPU multiplies bfloat16 faster than float32: then `library` does that for prompts where weights are 'bfloat16'. */
  quickBf16: boolean
  /** What multiplies matrices: "oneDNN 3.2.0" or "portable". */
  library: string
  abi: number
  /** Where models and caches are kept, and run. */
  device: DeviceInfo
}

export interface Engine {
  native: NativeEngine
  info: EngineInfo
}

// Held weakly: an engine goes when nothing made with it is left, its threads with it.
const engines = new Map<string, WeakRef<Engine>>()

/**
 * The engine for `options`. Errors: 'invalid', 'unsupported' (an instruction set that the CPU lacks, a device that cannot be used), 'native'
 * (a part that is not built), 'file' (a library that does not load), 'memory' (of the device).
 */
export function engineOf(options: EngineOptions = {}): Engine {
  const threads = options.threads === undefined ? availableParallelism() : integer('threads', options.threads, 1, 256)
  const isa = options.isa === undefined ? 'best' : oneOf('isa', options.isa, ['best', ...ISAS])
  const chosen = chosenDevice(options)
  const key = JSON.stringify([threads, isa, chosen, chosen.device === 'cuda' && process.env.ZSLAB_CUDA_LIBRARY])
  const found = engines.get(key)?.deref()
  if (found) return found
  const addon = native()
  const made = addon.engineCreate(threads, ISAS.indexOf(isa as (typeof ISAS)[number]))
  let device: DeviceInfo
  try {
    device = useDevice(made, chosen)
  } catch (error) {
    addon.engineDispose(made)
    throw error
  }
  const info = { ...(JSON.parse(addon.engineDescribe(made)) as Omit<EngineInfo, 'device'>), device }
  const engine = showsItself({ native: made, info }, engineText)
  engines.set(key, new WeakRef(engine))
  return engine
}
