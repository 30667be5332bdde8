/** Results that are JSON in a file, and their fields. */
import { readFile } from 'node:fs/promises'
import { ZslabError } from '../errors.js'
import { text } from '../expect.js'

export interface SavedKind {
  /** 'measured cost': what a file of another kind is none of. */
  what: string
  /** The call that writes such a file. */
  by: string
  format: string
  version: number
}

/** What is in the file, of that format and version, and how to say what it lacks. Errors: 'file' with what was found, or is missing. */
export async function readSaved(path: string, { what, by, format, version }: SavedKind) {
  text('path', path)
  let saved: Record<string, unknown> | null
  try {
    saved = JSON.parse(await readFile(path, 'utf8')) as typeof saved
  } catch (error) {
    throw new ZslabError('file', `cannot read ${path}: ${(error as Error).message}`)
  }
  const fault = (lacking: string) => new ZslabError('file', `${path} is no ${what}: ${lacking}`)
  if (saved?.format !== format) throw fault(`expected what ${by} writes, format ${format}`)
  if (saved.version !== version)
    throw fault(`its version is ${String(saved.version)}, and this zslab reads version ${version}`)
  return { saved, fault }
}
