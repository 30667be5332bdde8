/** LaTeX in a folder, which may hold other things: a text, and a folder of its pictures beside it, both of one export. */
import { existsSync } from 'node:fs'
import { access, constants, mkdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { shown, ZslabError } from '../errors.js'
import { pngOfSvg } from '../figures/export/png.js'
import { partName, replaceFile, unwritten } from '../trace/files/replace.js'
import type { Latex } from './notebook-exporter.js'

const WHAT = 'the notebook as latex'

/** That writeLatex() can write into `folder`. Errors: 'file'. */
export async function checkFolder(folder: string): Promise<void> {
  try {
    const there = await stat(folder).catch(() => undefined)
    if (there && !there.isDirectory()) throw new Error('a file has that name')
    await access(there ? folder : dirname(folder), constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unwritten(folder, WHAT, error)
  }
}

/**
 * Writes `name`.tex and, in its folder `pictures`, what it shows; that folder's earlier content goes, everything else stays. SVG becomes PNG
 * of 300 dots to the inch. Where it fails, or `signal` comes, all is as it was. Errors: 'file'.
 */
export async function writeLatex(
  folder: string,
  name: string,
  pictures: string,
  { tex, files }: Latex,
  signal: AbortSignal,
): Promise<void> {
  const target = join(folder, pictures)
  const [made, before] = [partName(), partName()].map((part) => join(folder, part))
  const first = !existsSync(folder)
  let moved = false
  try {
    if (first) await mkdir(folder)
    await mkdir(made)
    for (const [path, content] of Object.entries(files)) {
      signal.throwIfAborted()
      await write(made, basename(path), Buffer.from(content, 'base64'))
    }
    // From here on nothing is waited for but names.
    if (existsSync(target)) await rename(target, before)
    moved = true
    if (Object.keys(files).length) await rename(made, target)
    await replaceFile(join(folder, `${name}.tex`), WHAT, [tex])
  } catch (error) {
    if (moved) await rm(target, { recursive: true, force: true })
    if (existsSync(before)) await rename(before, target)
    await rm(made, { recursive: true, force: true })
    if (first) await rmdir(folder).catch(() => undefined)
    if (error instanceof ZslabError || signal.aborted) throw error
    throw unwritten(folder, WHAT, error)
  }
  for (const part of [made, before]) await rm(part, { recursive: true, force: true })
}

async function write(folder: string, name: string, content: Buffer): Promise<void> {
  if (!name.endsWith('.svg')) return writeFile(join(folder, name), content)
  let png: Buffer
  try {
    png = pngOfSvg(content.toString('utf8'))
  } catch (error) {
    throw new ZslabError(
      'file',
      `the svg of ${shown(name)} (output_CELL_OUTPUT, from 0) cannot be drawn: ${(error as Error).message}; make it anew, or export --to html`,
      { cause: error },
    )
  }
  await writeFile(join(folder, name.replace(/\.svg$/, '.png')), png)
}
