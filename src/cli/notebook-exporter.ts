/** What `zslab export` has Python and nbconvert make of a notebook: a page, or LaTeX with its pictures. */
import { basename, dirname, extname, join } from 'node:path'
import { shown, ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'
import { PYTHON } from './jupyter.js'
import type { Notebook } from './notebook-file.js'
import { outputOf } from './scripts.js'

/** The file's name without its ending. */
export const nameOf = (path: string) => basename(path, extname(path))

/** One page of html. `source` is the notebook's path. Errors: 'file'; rejects with the signal's reason. */
export async function pageOf(notebook: Notebook, source: string, signal: AbortSignal): Promise<string> {
  // As it was installed, with the libraries that draw plots.
  const templates = join(projectRoot, '.venv/share/jupyter/nbconvert/templates')
  return exported(notebook, source, { to: 'html', templates }, signal)
}

export interface Latex {
  tex: string
  /** Path as in `tex` → content in base64. For a path that ends with .svg, `tex` names one that ends with .png. */
  files: Record<string, string>
  /** Pictures of the notebook's text that are not in its folder. */
  missing: string[]
  /** Characters that no command of TeX stands for. */
  unknown: string[]
}

/** The text, and what lies in the folder `files` beside it. Errors as of pageOf(). */
export async function latexOf(notebook: Notebook, source: string, files: string, signal: AbortSignal): Promise<Latex> {
  const templates = join(projectRoot, 'kernel/nbconvert')
  return JSON.parse(await exported(notebook, source, { to: 'latex', templates, files }, signal)) as Latex
}

async function exported(notebook: Notebook, source: string, told: object, signal: AbortSignal): Promise<string> {
  const words = { name: nameOf(source), folder: dirname(source), ...told }
  const script = join(projectRoot, 'kernel/nbconvert/export.py')
  try {
    const input = JSON.stringify(notebook)
    // Isolated: no module of the folder that it is started in stands before Python's own.
    return String(await outputOf(PYTHON, ['-I', script, JSON.stringify(words)], { input, signal }))
  } catch (error) {
    if (signal.aborted) throw error
    throw new ZslabError('file', `${shown(source)} could not be exported: ${(error as Error).message}`, {
      cause: error,
    })
  }
}
