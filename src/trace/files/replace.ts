/** Files that appear whole or not at all. */
import { randomBytes } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { shown, ZslabError } from '../../errors.js'

/** Writes `content` at `path`: who reads meanwhile finds what was there before. `what` is it, for the error. Errors: 'file'. */
export async function replaceFile(path: string, what: string, content: Iterable<string | Uint8Array>): Promise<void> {
  // Beside it, so that it can be renamed; of a length of its own, whatever the name's.
  const temporary = join(dirname(path), `.zslab-${randomBytes(6).toString('hex')}.part`)
  try {
    await writeFile(temporary, content, { flag: 'wx' })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error instanceof ZslabError ? error : unwritten(path, what, error)
  }
}

export const unwritten = (path: string, what: string, error: unknown) =>
  new ZslabError('file', `${what} could not be written to ${shown(path)}: ${(error as Error).message}`, {
    cause: error,
  })
