/** Makes the kernel known to Jupyter and takes it away again: kernelspec, lab extension and nbconvert's template in one data folder. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { shippedPackage } from './cell/package.js'
import { displayNameFor, isOurs, kernelJson, kernelName } from './kernelspec.js'
import { dataFolder, type Where } from './places.js'

export interface Options extends Where {
  name?: string
  displayName?: string
}

export interface Done {
  folders: string[]
  /** What could not be done, and what helps. */
  missing?: string
}

/** Writes everything; what is as it should be already is not touched. `main`: the kernel's program. */
export function install(options: Options, main: string): Done {
  const name = kernelName(options.name)
  const data = dataFolder(options)
  const spec = join(data, 'kernels', name)
  if (existsSync(join(spec, 'kernel.json')) && !isOurs(spec))
    throw new Error(`${spec} is another kernel: choose another --name, or remove it first`)
  const text = `${JSON.stringify(kernelJson(main, displayNameFor(name, options.displayName)), null, 2)}\n`
  const built = existsSync(join(builtExtension(), 'package.json'))
  const folders = [spec, templateIn(data), ...(built ? [extensionIn(data)] : [])]
  try {
    copy(join(shippedPackage().root, 'kernel/kernelspec'), spec)
    write(join(spec, 'kernel.json'), text)
    copy(join(shippedPackage().root, 'kernel/nbconvert/zslab'), templateIn(data))
    copyLibraries(templateIn(data))
    if (built) copyExtension(extensionIn(data))
  } catch (error) {
    throw new Error(`${data} cannot be written (${(error as Error).message}): choose another place with --prefix`)
  }
  return {
    folders,
    ...(built
      ? {}
      : { missing: 'the lab extension is not built (`npx zslab install` builds it): figures are pictures' }),
  }
}

/** Takes away what install wrote: the kernelspec, and with the last of ours in that data folder what they share. */
export function uninstall(options: Options): Done {
  const name = kernelName(options.name)
  const data = dataFolder(options)
  const spec = join(data, 'kernels', name)
  // One that cannot be read is only taken for ours under our own name.
  if (existsSync(spec) && !isOurs(spec) && name !== shippedPackage().name)
    throw new Error(`${spec} is another kernel, so it was left as it is`)
  const others = kernelspecsIn(data).filter((folder) => folder !== spec)
  const all = [spec, ...(others.length === 0 ? [templateIn(data), extensionIn(data)] : [])]
  const folders = all.filter((folder) => existsSync(folder))
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true })
    } catch (error) {
      throw new Error(`${folder} cannot be removed (${(error as Error).message}): remove it by hand`)
    }
    prune(dirname(folder), options.prefix === undefined ? data : resolve(options.prefix))
  }
  return { folders }
}

/** The kernelspecs of this kernel in one data folder, under whatever name. */
export function kernelspecsIn(data: string): string[] {
  const kernels = join(data, 'kernels')
  const own = join(kernels, shippedPackage().name)
  return list(kernels)
    .map((name) => join(kernels, name))
    .filter((folder) => folder === own || isOurs(folder))
}

export const extensionIn = (data: string) => join(data, 'labextensions', extensionName())
const templateIn = (data: string) => join(data, 'nbconvert/templates/zslab')

/** As it is built, ready to be copied; need not be there in a clone. */
export const builtExtension = () => join(shippedPackage().root, 'dist/labextension')

function extensionName(): string {
  const manifest = readFileSync(join(shippedPackage().root, 'kernel/labextension/package.json'), 'utf8')
  return (JSON.parse(manifest) as { name: string }).name
}

/** What the extension in `folder` was built from; undefined where that is not known. */
export function stampOf(folder: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(folder, 'built.json'), 'utf8')) as { stamp?: string }).stamp
  } catch {
    return undefined
  }
}

function copyExtension(target: string): void {
  const stamp = stampOf(builtExtension())
  if (stamp !== undefined && stampOf(target) === stamp) return
  rmSync(target, { recursive: true, force: true }) // files of another build have other names
  make(dirname(target))
  cpSync(builtExtension(), target, { recursive: true })
}

/** What pages draw plots with, and the lines by which the template finds it; without a library its plots stay lines of text. */
function copyLibraries(template: string): void {
  for (const name of ['plotly', 'vega']) {
    const library = join(shippedPackage().root, `dist/pages/${name}.min.js`)
    if (!existsSync(library)) continue
    write(join(template, `${name}.min.js`), readFileSync(library))
    const words = [`${name}.min.js`, `${name}-pages.js`].map((file) => `{{ resources.include_js("${file}") }}`)
    write(join(template, `${name}-library.j2`), `${words.join('\n')}\n`)
  }
}

function copy(from: string, to: string): void {
  for (const name of readdirSync(from)) write(join(to, name), readFileSync(join(from, name)))
}

function write(path: string, content: string | Buffer): void {
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(content))) return
  make(dirname(path))
  writeFileSync(path, content)
}

/** Step by step: Node's recursive mkdir never returns where a file system refuses as /proc does. */
function make(folder: string): void {
  if (existsSync(folder)) return
  make(dirname(folder))
  mkdirSync(folder)
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Folders that are empty now, from `folder` up to `end`, which stays. */
function prune(folder: string, end: string): void {
  while (folder !== end && folder.startsWith(end) && existsSync(folder) && list(folder).length === 0) {
    rmdirSync(folder)
    folder = dirname(folder)
  }
}
