/** What lies in the cache's folder of packed weights: whole files, and what processes that ended while they wrote there left. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CATALOGUE } from './catalogue.js'

/** kPackedVersion of native/model/packed_file.h. */
const VERSION = 1
/** kPackedTemporary of native/model/packed_file.h, and what sums.json is written as: with the number of their process. */
const TEMPORARY = /(?:\.packing-(\d+)-\d+|^sums\.json\.(\d+))$/
const WHOLE = /^([0-9a-f]{64})-v\d+\.weights$/

/** Packed weights of a model in the cache folder; made by the first load, mapped by later ones. */
export interface PackedWeights {
  /** A name of the catalogue, or the path of the model's file when it was loaded; undefined where nothing says it any more. */
  model: string | undefined
  path: string
  bytes: number
}

export const packedName = (sha256: string) => `${sha256}-v${VERSION}.weights`

/** Files of packed weights in `folder`, and the bytes of what was left behind. `sums`: of sums.json. */
export async function packedFiles(
  folder: string,
  sums: Readonly<Record<string, string>>,
): Promise<{ packed: PackedWeights[]; leftoverBytes: number }> {
  const packed: PackedWeights[] = []
  let leftoverBytes = 0
  for (const name of (await readdir(folder).catch(() => [] as string[])).sort()) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (!found?.isFile()) continue
    const sha256 = WHOLE.exec(name)?.[1]
    if (sha256) packed.push({ model: modelOf(sha256, sums), path, bytes: found.size })
    else if (isLeftover(name)) leftoverBytes += found.size
  }
  return { packed, leftoverBytes }
}

function modelOf(sha256: string, sums: Readonly<Record<string, string>>): string | undefined {
  const named = CATALOGUE.find((model) => model.sha256 === sha256)
  if (named) return named.name
  const key = Object.keys(sums).findLast((one) => sums[one] === sha256)
  try {
    const [[path]] = JSON.parse(key ?? '') as unknown[][]
    return typeof path === 'string' ? path : undefined
  } catch {
    return undefined
  }
}

/** Named by a process that is gone. */
function isLeftover(name: string): boolean {
  const [, packing, sums] = TEMPORARY.exec(name) ?? []
  const pid = Number(packing ?? sums)
  if (!pid) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

/** Removes packed weights of this model that another version made. Whoever has them mapped keeps them. (Leftovers: native/model/packed_file.h.) */
export async function removeOtherVersions(folder: string, sha256: string): Promise<void> {
  const names = await readdir(folder).catch(() => [] as string[])
  const others = names.filter((name) => name.startsWith(`${sha256}-v`) && !name.startsWith(packedName(sha256)))
  await Promise.all(others.map((name) => rm(join(folder, name), { force: true }).catch(() => undefined)))
}
