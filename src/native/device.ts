/** Devices: where caches are kept and decode steps run, on the CPU or on a GPU by a library that the engine opens (libzslab_cuda.so). */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ZslabError } from '../errors.js'
import { integer, invalid } from '../expect.js'
import { native, projectRoot, type NativeEngine } from './binding.js'

export type DeviceName = 'cpu' | 'auto' | 'cuda' | `cuda:${number}`

/** What an engine uses. */
export type DeviceInfo =
  | {
      kind: 'cpu'
      /** After 'auto': why no GPU is used. */
      why?: string
    }
  | {
      /** 'emulated': a library for tests, whose GPU is this CPU. */
      kind: 'cuda' | 'emulated'
      number: number
      name: string
      /** Bytes that models and caches may take there. */
      memory: number
    }

export interface DeviceOptions {
  /**
   * Where caches are kept and decode steps run, with the same bits: 'cpu' (the default), 'cuda' or 'cuda:1' (a GPU by its number), 'auto'
   * (the first GPU, or where none can be used the CPU; engine.info.device, the run card and the receipt say which and why).
   */
  device?: DeviceName
  /** Bytes that the model and all its caches may take on the GPU; default nine tenths of what is free there. */
  deviceMemory?: number
}

/** What a library finds (zs_device_list); driver and runtime as 1000 · major + 10 · minor, 0 = emulated. */
export interface DeviceList {
  kind: 'cuda' | 'emulated'
  driver: number
  runtime: number
  devices: { name: string; memory: number; free: number; capability: string }[]
}

/** DeviceOptions, checked. */
export interface ChosenDevice {
  device: 'cpu' | 'auto' | 'cuda'
  number: number
  /** 0 = nine tenths of what is free. */
  memory: number
}

/** The library that `npx zslab build` makes where there is an nvcc. */
export const BUILT_LIBRARY = join(projectRoot, 'build/Release/libzslab_cuda.so')
const HELP = "`npx zslab build` makes it where it finds nvcc 13.0 (`npx zslab doctor` says what it found); or use device 'cpu'"

/** Errors: 'invalid'. */
export function chosenDevice({ device = 'cpu', deviceMemory }: DeviceOptions): ChosenDevice {
  const found = typeof device === 'string' ? /^(?:(cpu|auto)|cuda(?::(\d{1,4}))?)$/.exec(device) : null
  if (!found) throw invalid('device', "'cpu', 'auto', 'cuda' or a GPU's number as in 'cuda:1'", device)
  const memory = deviceMemory === undefined ? 0 : integer('deviceMemory', deviceMemory, 1)
  if (memory && found[1] === 'cpu')
    throw invalid('deviceMemory', "nothing with device 'cpu'", deviceMemory, "give device: 'cuda' or 'auto' with it")
  return { device: (found[1] as 'cpu' | 'auto' | undefined) ?? 'cuda', number: Number(found[2] ?? 0), memory }
}

/** The path in ZSLAB_CUDA_LIBRARY; undefined: it names none. */
export function namedLibrary(): string | undefined {
  const named = process.env.ZSLAB_CUDA_LIBRARY
  return named ? resolve(named) : undefined
}

/** Errors: 'native' (no such library), 'file' (it does not load), 'invalid' (it is another), 'unsupported' (nothing can be used, or another version). */
export function deviceList(library: string): DeviceList {
  return JSON.parse(opened(library, () => native().deviceList(library))) as DeviceList
}

/** Gives `engine` its device; says what it uses from then on. Errors: as of deviceList, of the device's own. */
export function useDevice(engine: NativeEngine, { device, number, memory }: ChosenDevice): DeviceInfo {
  if (device === 'cpu') return { kind: 'cpu' }
  // Who asks for any device is not to get one that somebody named for tests.
  const library = device === 'auto' ? BUILT_LIBRARY : (namedLibrary() ?? BUILT_LIBRARY)
  try {
    opened(library, () => native().engineUse(engine, { library, number, memory }))
  } catch (error) {
    if (device !== 'auto' || !(error instanceof ZslabError)) throw error
    return { kind: 'cpu', why: error.message }
  }
  const { device: used } = JSON.parse(native().engineDescribe(engine)) as { device: DeviceInfo }
  return used
}

/** `work` with the library at `path`, which must be there; what it throws says what to do. */
function opened<T>(path: string, work: () => T): T {
  if (!existsSync(path))
    throw new ZslabError(
      'native',
      path === BUILT_LIBRARY
        ? `the library for GPUs is not built (${path}): ${HELP}`
        : `ZSLAB_CUDA_LIBRARY names ${path}, which is not there: name a libzslab_cuda.so, or unset it for the one that is built`,
    )
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ZslabError) || error.code !== 'file') throw error
    const again = path === BUILT_LIBRARY ? 'build it again with `npx zslab build --force`' : 'name another by ZSLAB_CUDA_LIBRARY'
    throw new ZslabError('file', `${error.message}: ${again}, or use device 'cpu'`, { cause: error })
  }
}
