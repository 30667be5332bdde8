/** What of this kernel Jupyter can see here, and what is wrong with it. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { basename, delimiter, isAbsolute, join } from 'node:path'
import { shippedPackage } from './cell/package.js'
import { builtExtension, extensionIn, kernelspecsIn, stampOf } from './install.js'
import { readKernelspec } from './kernelspec.js'
import { dataFolders, userFolder } from './places.js'

export interface Install {
  /** The name that notebooks know the kernel by. */
  name: string
  /** The kernelspec's folder. */
  folder: string
  /** Options of `uninstall` that take it away; undefined where none reaches it. */
  options?: string
  /** The program that it starts. */
  main?: string
  /** Why it cannot start. */
  broken?: string
}

/** In the order in which Jupyter looks: of one name, the first is the kernel that it starts. `more`: further data folders. */
export function findInstalls(more: string[] = []): Install[] {
  return dataFolders(more).flatMap((data) =>
    kernelspecsIn(data).map((folder) => {
      const name = basename(folder)
      const options = optionsFor(data, name)
      return { name, folder, ...(options !== undefined && { options }), ...started(folder) }
    }),
  )
}

/** Those that another one hides which starts another program. */
export function hiddenOf(installs: Install[]): { hidden: Install; by: Install }[] {
  return installs.flatMap((hidden) => {
    const by = installs.find(({ name }) => name === hidden.name)!
    return by.main === hidden.main ? [] : [{ hidden, by }]
  })
}

export interface Extension {
  folder: string
  version?: string
  /** Why it cannot draw what this kernel shows. */
  wrong?: string
}

/** The lab extension that JupyterLab loads, if there is one. */
export function findExtension(more: string[] = []): Extension | undefined {
  const folder = dataFolders(more)
    .map(extensionIn)
    .find((one) => existsSync(one))
  if (folder === undefined) return undefined
  let manifest: { version?: string; jupyterlab?: { _build?: { load?: string } } }
  try {
    manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as typeof manifest
  } catch (error) {
    return { folder, wrong: `its package.json cannot be read (${(error as Error).message})` }
  }
  const load = manifest.jupyterlab?._build?.load
  const { version } = manifest
  if (load === undefined || !existsSync(join(folder, load)))
    return { folder, version, wrong: 'files of it are missing' }
  const ours = shippedPackage().version
  if (version !== ours) return { folder, version, wrong: `it is of version ${version}, the kernel of ${ours}` }
  const built = stampOf(builtExtension())
  return built !== undefined && stampOf(folder) !== built
    ? { folder, version, wrong: `it is another build of version ${version} than the kernel’s` }
    : { folder, version }
}

function optionsFor(data: string, name: string): string | undefined {
  const prefix = /^(.+)\/share\/jupyter$/.exec(data)?.[1]
  const place = data === userFolder() ? '--user' : prefix && `--prefix ${prefix}`
  return place && (name === shippedPackage().name ? place : `${place} --name ${name}`)
}

function started(folder: string): Pick<Install, 'main' | 'broken'> {
  let argv: unknown
  try {
    ;({ argv } = readKernelspec(folder))
  } catch (error) {
    return { broken: `its kernel.json cannot be read (${(error as Error).message})` }
  }
  if (!Array.isArray(argv) || argv.length < 2 || !argv.every((word) => typeof word === 'string'))
    return { broken: 'its kernel.json names no program' }
  const [node, main] = argv as string[]
  if (!runs(node)) return { main, broken: `it starts ${node}, which is not there or cannot be run` }
  return { main, ...(!existsSync(main) && { broken: `it starts ${main}, which is not there` }) }
}

function runs(program: string): boolean {
  const folders = isAbsolute(program) ? [''] : (process.env.PATH ?? '').split(delimiter)
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
