/**
 * The user's cache folder: where it is, what lies in it, who may write to it now. Models live in models/NAME/FILE beside a
 * small record of their verification, packed weights in packed/ (src/model/packed.ts); work in progress lives in folders named work-…, which
 * whoever holds the lock may remove.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import lockfile from 'proper-lockfile'
import { ZslabError } from '../errors.js'
import { abortSignal, options as checked } from '../expect.js'
import type { PackagedModel } from './catalogue.js'
import { packedFiles, type PackedWeights } from './packed-files.js'

/** ZSLAB_CACHE, else XDG_CACHE_HOME/zslab, else ~/.cache/zslab. */
export function cacheFolder(): string {
  if (process.env.ZSLAB_CACHE) return resolve(process.env.ZSLAB_CACHE)
  const xdg = process.env.XDG_CACHE_HOME
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'zslab')
}

const WORK = 'work-'

export const modelFolder = (model: PackagedModel) => join(cacheFolder(), 'models', model.name)
export const modelPath = (model: PackagedModel) => join(modelFolder(model), model.file)
export const packedFolder = () => join(cacheFolder(), 'packed')
export const sumsPath = () => join(packedFolder(), 'sums.json')
const recordPath = (model: PackagedModel) => join(modelFolder(model), 'verified.json')

/** The sentence for a cache folder that cannot be used, whatever the file system called it. */
export function cacheFailure(error: unknown, doing: string): ZslabError {
  if (error instanceof ZslabError) return error
  const { code, message } = error as NodeJS.ErrnoException
  const folder = cacheFolder()
  const advice =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full: free some space there, or set ZSLAB_CACHE to a folder on another disk'
      : code === 'EACCES' || code === 'EROFS' || code === 'EPERM'
        ? 'the folder may not be written: make it writable, or set ZSLAB_CACHE to a folder that is'
        : code === 'ENOTDIR' || code === 'EEXIST' || code === 'ENOENT'
          ? 'it is no folder and none can be made there: set ZSLAB_CACHE to a folder of your own'
          : 'set ZSLAB_CACHE to another folder if this one cannot be mended'
  return new ZslabError('source', `cannot ${doing} in the cache folder ${folder} (${message}): ${advice}`, {
    cause: error,
  })
}

/**
 * Runs `work` with the cache's lock held, waiting for another process that has it; `waiting` is called once if so.
 * `ready` is asked while waiting: what it finds is returned without the lock.
 */
export async function withLock<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: { signal?: AbortSignal; waiting?: () => void; ready?: () => Promise<T | undefined> } = {},
): Promise<T> {
  const folder = cacheFolder()
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw cacheFailure(error, 'make room for models')
  })
  const lost = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, lost.signal]) : lost.signal
  const onCompromised = () =>
    lost.abort(
      new ZslabError('source', `the lock of the cache folder ${folder} was taken away: is it being cleared? try again`),
    )
  let release: (() => Promise<void>) | undefined
  for (let turn = 0; !release; turn++) {
    signal.throwIfAborted()
    try {
      const lockfilePath = join(folder, 'lock')
      release = await lockfile.lock(folder, {
        lockfilePath,
        stale: 15_000,
        update: 3000,
        realpath: false,
        onCompromised,
      })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw cacheFailure(error, 'take the lock')
      if (turn === 0) options.waiting?.()
      const found = await options.ready?.()
      if (found !== undefined) return found
      await sleep(150, undefined, { signal })
    }
  }
  try {
    return await work(signal)
  } finally {
    // Fails only where the lock is gone already: then there is nothing to give back.
    await release().catch(() => undefined)
  }
}

/** A fresh folder for work in progress; those that an interrupted run left behind go first. Only with the lock held. */
export async function workFolder(): Promise<string> {
  await removeLeftovers()
  const folder = join(cacheFolder(), `${WORK}${process.pid}-${Date.now().toString(36)}`)
  await mkdir(folder)
  return folder
}

async function leftovers(): Promise<string[]> {
  const names = await readdir(cacheFolder()).catch(() => [] as string[])
  return names.filter((name) => name.startsWith(WORK)).map((name) => join(cacheFolder(), name))
}

async function removeLeftovers(): Promise<number> {
  let bytes = 0
  for (const path of await leftovers()) {
    bytes += await bytesOf(path)
    await rm(path, { recursive: true, force: true })
  }
  return bytes
}

/** Bytes of all files under `path`; what vanishes meanwhile counts as nothing. */
export async function bytesOf(path: string): Promise<number> {
  const names = await readdir(path, { recursive: true }).catch(() => [] as string[])
  const sizes = await Promise.all(names.map((name) => stat(join(path, name)).catch(() => undefined)))
  return sizes.reduce((sum, s) => sum + (s?.isFile() ? s.size : 0), 0)
}

/** 'verified': its checksum was right and it has not been touched since; 'unknown': it must be hashed. */
export async function stateOf(model: PackagedModel): Promise<'missing' | 'unknown' | 'verified'> {
  const found = await stat(modelPath(model)).catch(() => undefined)
  if (!found?.isFile() || found.size !== model.bytes) return 'missing'
  try {
    const record = JSON.parse(await readFile(recordPath(model), 'utf8')) as { sha256?: unknown; mtimeMs?: unknown }
    return record.sha256 === model.sha256 && record.mtimeMs === found.mtimeMs ? 'verified' : 'unknown'
  } catch {
    return 'unknown'
  }
}

/** Notes that the file's checksum was right. A cache that cannot be written works without: the file is hashed again next time. */
export async function recordVerified(model: PackagedModel): Promise<void> {
  const { mtimeMs } = await stat(modelPath(model))
  const temporary = `${recordPath(model)}.${process.pid}`
  try {
    await writeFile(temporary, JSON.stringify({ sha256: model.sha256, mtimeMs }))
    await rename(temporary, recordPath(model))
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined)
  }
}

export interface CachedModel {
  name: string
  path: string
  bytes: number
}

/** SHA-256 by what model files were then: paths, sizes, times of change. */
export async function packedSums(): Promise<Record<string, string>> {
  try {
    const found = JSON.parse(await readFile(sumsPath(), 'utf8')) as Record<string, unknown>
    const whole = ([, sum]: [string, unknown]) => typeof sum === 'string' && /^[0-9a-f]{64}$/.test(sum)
    return Object.fromEntries(Object.entries(found).filter(whole)) as Record<string, string>
  } catch {
    return {}
  }
}

/**
 * The models in the cache folder, the packed weights of models that were loaded, and the bytes that interrupted downloads and loads left.
 */
export async function cacheList(): Promise<{
  folder: string
  models: CachedModel[]
  packed: PackedWeights[]
  leftoverBytes: number
}> {
  const folder = cacheFolder()
  const models: CachedModel[] = []
  for (const name of (await readdir(join(folder, 'models')).catch(() => [] as string[])).sort())
    for (const file of (await readdir(join(folder, 'models', name)).catch(() => [] as string[])).sort())
      if (file.endsWith('.gguf')) {
        const path = join(folder, 'models', name, file)
        const { size } = await stat(path)
        models.push({ name, path, bytes: size })
      }
  const left = await Promise.all((await leftovers()).map(bytesOf))
  const { packed, leftoverBytes } = await packedFiles(packedFolder(), await packedSums())
  return { folder, models, packed, leftoverBytes: left.reduce((a, b) => a + b, leftoverBytes) }
}

/**
 * Removes every model, all packed weights and leftovers; nothing else that may lie in the folder. Models that are loaded are not harmed, nor
 * is a load under way: it keeps its weights, and the next one packs them again. Waits for a download that is running.
 */
export async function cacheClear(
  options: { signal?: AbortSignal } = {},
): Promise<{ folder: string; removed: CachedModel[]; packed: PackedWeights[]; bytes: number }> {
  abortSignal(checked('cacheClear options', options, ['signal']).signal)
  const folder = cacheFolder()
  if (!(await stat(folder).catch(() => undefined))) return { folder, removed: [], packed: [], bytes: 0 }
  return withLock(async () => {
    try {
      const { models, packed } = await cacheList()
      let bytes = await removeLeftovers()
      for (const path of [join(folder, 'models'), packedFolder()]) {
        bytes += await bytesOf(path)
        await rm(path, { recursive: true, force: true })
      }
      return { folder, removed: models, packed, bytes }
    } catch (error) {
      throw cacheFailure(error, 'remove models')
    }
  }, options)
}
