/** Notebooks as files: what commands read of them, and the sentences for what is none. */
import { existsSync, readFileSync } from 'node:fs'
import { shown, ZslabError } from '../errors.js'

/** Of nbformat what commands look at; only that there are cells or, before nbformat 4, worksheets has been checked. */
export interface Notebook {
  nbformat: number
  cells?: Cell[]
  metadata: {
    kernelspec?: { name?: unknown; language?: unknown }
    language_info?: { name?: unknown }
  }
}

export interface Cell {
  cell_type?: string
  source?: string | string[]
  execution_count?: number | null
  outputs?: Output[]
}

export interface Output {
  output_type?: string
  /** MIME type → content. */
  data?: Record<string, unknown>
}

/** Reads the notebook at `path`. Errors: 'file' where there is none, or something else. */
export function notebookAt(path: string): Notebook {
  if (!existsSync(path)) throw new ZslabError('file', `there is no notebook ${shown(path)}: check the path`)
  const notebook = (jsonIn(path, 'a Jupyter notebook') ?? {}) as Record<string, unknown>
  const { cells, worksheets, nbformat, metadata } = notebook
  const found = [cells, worksheets].find((one) => Array.isArray(one)) as unknown[] | undefined
  if (typeof nbformat !== 'number' || !found?.every((one) => typeof one === 'object' && one !== null))
    throw new ZslabError('file', `${path}: found JSON without cells, expected a Jupyter notebook: give an .ipynb file`)
  return { ...notebook, nbformat, metadata: typeof metadata === 'object' && metadata !== null ? metadata : {} }
}

/** Reads the JSON in `path`; `expected` is what it should hold, for the error. Errors: 'file'. */
export function jsonIn(path: string, expected: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ZslabError('file', `cannot read ${shown(path)} (${(error as Error).message}): check the path`)
  }
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''))
  } catch (error) {
    throw new ZslabError('file', `${path}: found no JSON (${(error as Error).message}), expected ${expected}`)
  }
}
