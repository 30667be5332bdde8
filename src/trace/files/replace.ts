/** Files that appear whole or not at all. */
import { randomBytes } from 'node:crypto'
import { access, constants, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { shown, ZslabError } from '../../errors.js'

const [PART, ENDING] = ['.zslab-', '.part']

/** A name for what is there for a moment: who dies leaves something that is called so. */
export const partName = () => PART + randomBytes(6).toString('hex') + ENDING
/** Whether partName() gave it. */
export const isPart = (name: string): boolean => name.startsWith(PART) && name.endsWith(ENDING)

/** Writes `content` at `path`: who reads meanwhile finds what was there before. `what` is it, for the error. Errors: 'file'. */
export async function replaceFile(path: string, what: string, content: Iterable<string | Uint8Array>): Promise<void> {
  // Beside it, so that it can be renamed; of a length of its own, whatever the name's.
  const temporary = join(dirname(path), partName())
  try {
    await writeFile(temporary, content, { flag: 'wx' })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error instanceof ZslabError ? error : unwritten(path, what, error)
  }
}

/**
 * That replaceFile() can write at `path`, before anything is computed for it. Errors: 'file' where something has that name that is no file
 * or may not be written, or the folder that it lies in is not there or may not be written.
 */
export async function checkPlace(path: string, what: string): Promise<void> {
  try {
    const there = await stat(path).catch(() => undefined)
    if (there && !there.isFile()) throw new Error('a folder or a device has that name')
    if (there) await access(path, constants.W_OK)
    await access(dirname(path), constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unwritten(path, what, error)
  }
}

export function unwritten(path: string, what: string, error: unknown): ZslabError {
  const { message, code } = error as NodeJS.ErrnoException
  // Without the system's call, which is about names of our own.
  const why = code === undefined ? message : message.split(', ')[0]
  const advice = code === 'ENOENT' ? `: make the folder ${shown(dirname(path))} first` : ''
  return new ZslabError('file', `${what} could not be written to ${shown(path)}: ${why}${advice}`, { cause: error })
}
