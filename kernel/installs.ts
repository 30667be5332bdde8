/** The kernelspecs of this kernel that Jupyter can see here, and what is wrong with them. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { shippedPackage } from './cell/package.js'
import { userFolder } from './kernelspec.js'

export interface Install {
  /** The kernelspec's folder. */
  folder: string
  /** The prefix that it was installed to; undefined: the user's own folder, or one named by JUPYTER_PATH. */
  from?: string
  /** The program that it starts. */
  main?: string
  /** Why it cannot start. */
  broken?: string
}

/** In the order in which Jupyter looks: the first one is the kernel that it starts. `more`: further data folders. */
export function findInstalls(more: string[] = []): Install[] {
  const { name } = shippedPackage()
  const folders = [
    ...(process.env.JUPYTER_PATH ?? '').split(delimiter).filter(Boolean),
    userFolder(),
    ...more,
    ...shared(),
  ]
  return [...new Set(folders)]
    .map((data) => join(data, 'kernels', name))
    .filter((folder) => existsSync(folder))
    .map(examine)
}

/** Data folders of the Python that is active and of the system. */
function shared(): string[] {
  const asked = spawnSync('python3', ['-c', 'import sys; print(sys.prefix)'], { encoding: 'utf8' })
  const prefix = asked.status === 0 ? [join(asked.stdout.trim(), 'share/jupyter')] : []
  return [...prefix, '/usr/local/share/jupyter', '/usr/share/jupyter']
}

function examine(folder: string): Install {
  const from = folder.startsWith(userFolder()) ? undefined : /^(.+)\/share\/jupyter\/kernels\/[^/]+$/.exec(folder)?.[1]
  return { folder, ...(from !== undefined && { from }), ...started(folder) }
}

function started(folder: string): Pick<Install, 'main' | 'broken'> {
  let argv: unknown
  try {
    ;({ argv } = JSON.parse(readFileSync(join(folder, 'kernel.json'), 'utf8')) as { argv?: unknown })
  } catch (error) {
    return { broken: `its kernel.json cannot be read (${(error as Error).message})` }
  }
  if (!Array.isArray(argv) || argv.length < 2 || !argv.every((word) => typeof word === 'string'))
    return { broken: 'its kernel.json names no program' }
  const [node, main] = argv as string[]
  const missing = [node, main].find((path) => path.includes('/') && !existsSync(path))
  return { main, ...(missing !== undefined && { broken: `it starts ${missing}, which is not there` }) }
}
