/** The data folders of Jupyter: where it looks for kernels and extensions, and where an install writes. */
import { spawnSync } from 'node:child_process'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

export interface Where {
  user?: boolean
  prefix?: string
  sysPrefix?: boolean
}

/** The data folder that an install writes to. */
export function dataFolder({ user, prefix, sysPrefix }: Where): string {
  if ([user, prefix, sysPrefix].filter((one) => one !== undefined && one !== false).length > 1)
    throw new Error('--user, --prefix and --sys-prefix exclude each other: give one of them')
  if (prefix === '') throw new Error('--prefix needs a folder: --prefix DIR writes to DIR/share/jupyter')
  if (prefix !== undefined) return shared(resolve(prefix))
  if (!sysPrefix) return userFolder()
  const python = activePython()
  if (!python)
    throw new Error('--sys-prefix asks Python for its folder, but neither python3 nor python runs: use --prefix DIR')
  return shared(python.prefix)
}

/** Jupyter's data folder of this user. */
export function userFolder(): string {
  const { JUPYTER_DATA_DIR, XDG_DATA_HOME } = process.env
  if (JUPYTER_DATA_DIR) return JUPYTER_DATA_DIR
  if (process.platform === 'darwin') return join(homedir(), 'Library/Jupyter')
  return join(XDG_DATA_HOME || join(homedir(), '.local/share'), 'jupyter')
}

/** In the order in which Jupyter looks: what it finds first hides the others. `more`: folders of a Python that is not active. */
export function dataFolders(more: string[] = []): string[] {
  const named = (process.env.JUPYTER_PATH ?? '').split(delimiter).filter(Boolean)
  const python = activePython()
  const own = python ? [shared(python.prefix)] : []
  const middle = prefersPython(python) ? [...own, userFolder()] : [userFolder(), ...own]
  return [...new Set([...named, ...middle, ...more, '/usr/local/share/jupyter', '/usr/share/jupyter'])]
}

const shared = (prefix: string) => join(prefix, 'share/jupyter')

interface Python {
  prefix: string
  virtual: boolean
}

/** Jupyter looks into a virtual environment before the user's folder, unless told otherwise. */
function prefersPython(python: Python | undefined): boolean {
  const asked = process.env.JUPYTER_PREFER_ENV_PATH
  if (asked !== undefined) return !['', 'no', 'n', 'false', 'off', '0', '0.0'].includes(asked.toLowerCase())
  return python?.virtual ?? false
}

function activePython(): Python | undefined {
  const ask = 'import sys; print(sys.prefix); print(sys.prefix != sys.base_prefix)'
  for (const name of ['python3', 'python']) {
    const { status, stdout } = spawnSync(name, ['-c', ask], { encoding: 'utf8' })
    if (status !== 0) continue
    const [prefix, virtual] = stdout.split('\n')
    return { prefix, virtual: virtual === 'True' }
  }
  return undefined
}
