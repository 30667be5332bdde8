/**
 * Packed weights in the cache folder: packed/SHA256-vVERSION.weights of each model that was loaded as its file has it, mapped by every
 * process that loads it again. sums.json remembers the SHA-256 of files that have no name, by path, size and time of change, so that
 * each is hashed once.
 */
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packedFolder, packedSums, sumsPath } from './cache.js'
import { packedName, removeOtherVersions } from './packed-files.js'

/** Of a model's file what its name here is made of. */
interface Hashed {
  readonly gguf: { paths: readonly string[] }
  readonly hash: string | undefined
  sha256(options?: {
    progress?: (done: number, total: number) => void
    signal?: AbortSignal
    known?: string
  }): Promise<string>
}

/** Files that are remembered; the oldest go first. */
const REMEMBERED = 256

/**
 * Where the packed weights of `file` are, or will be made. The folder is made where it can be; where it cannot, nothing fails here: the
 * engine then keeps weights in memory of its own and says why. What another version made of this model is removed.
 */
export async function packedPath(
  file: Hashed,
  options: { signal?: AbortSignal; progress?: (done: number, total: number) => void } = {},
): Promise<string> {
  await mkdir(packedFolder(), { recursive: true }).catch(() => undefined)
  const sum = await sumOf(file, options)
  await removeOtherVersions(packedFolder(), sum)
  return join(packedFolder(), packedName(sum))
}

async function sumOf(
  file: Hashed,
  options: { signal?: AbortSignal; progress?: (done: number, total: number) => void },
): Promise<string> {
  if (file.hash !== undefined) return file.hash
  const key = await identity(file.gguf.paths)
  const known = await packedSums()
  if (known[key]) return file.sha256({ known: known[key] })
  const sum = await file.sha256(options)
  // What changed while it was read has another time now, or the next load finds it has.
  if ((await identity(file.gguf.paths)) === key) await remember(key, sum)
  return sum
}

async function identity(paths: readonly string[]): Promise<string> {
  const found = await Promise.all(paths.map((path) => stat(path)))
  return JSON.stringify(found.map(({ size, mtimeMs, ino }, i) => [paths[i], size, mtimeMs, ino]))
}

/** A folder that cannot be written remembers nothing, and all works. */
async function remember(key: string, sum: string): Promise<void> {
  const all = Object.entries({ ...(await packedSums()), [key]: sum }).slice(-REMEMBERED)
  const temporary = `${sumsPath()}.${process.pid}`
  try {
    await writeFile(temporary, JSON.stringify(Object.fromEntries(all)))
    await rename(temporary, sumsPath())
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined)
  }
}
