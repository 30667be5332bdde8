/** SHA-256 of files that are too large to be held: of models in the run card, of what was fetched. */
import { createHash } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { shown, ZslabError } from '../errors.js'

/**
 * SHA-256 of the files at `paths`, one after another, in lower-case hex.
 * progress(done, total) in bytes, now and then; `signal` stops it (rejects with the signal's reason). Errors: code 'file'.
 */
export async function fileHash(
  paths: string | readonly string[],
  options: { progress?: (done: number, total: number) => void; signal?: AbortSignal } = {},
): Promise<string> {
  const hash = createHash('sha256')
  let path = ''
  try {
    const all = [paths].flat() as string[]
    const total = all.reduce((sum, one) => sum + statSync((path = one)).size, 0)
    let done = 0
    for (path of all)
      for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20, signal: options.signal })) {
        hash.update(chunk as Buffer)
        options.progress?.((done += (chunk as Buffer).length), total)
      }
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason
    throw new ZslabError('file', `cannot read ${shown(path)}: ${(error as Error).message}`, { cause: error })
  }
  return hash.digest('hex')
}
