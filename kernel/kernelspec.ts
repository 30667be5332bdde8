/** The kernelspec by which Jupyter finds this kernel: kernel.json and logos, written to where Jupyter looks. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { shippedPackage } from './cell/package.js'

export interface Where {
  user?: boolean
  prefix?: string
  sysPrefix?: boolean
}

/** Where the arguments of a kernel's start name its connection file. */
export function kernelJson(main: string, name: string): object {
  return {
    argv: [process.execPath, main, 'start', '{connection_file}'],
    display_name: `TypeScript (${name})`,
    language: 'typescript',
    interrupt_mode: 'message',
    kernel_protocol_version: '5.5.0',
    metadata: { debugger: false },
  }
}

/** Takes the kernelspec and the lab extension away again → the folders that were removed. */
export function uninstallKernelspec(where: Where): string[] {
  const { name, root } = shippedPackage()
  const data = dataFolder(where)
  const extension = JSON.parse(readFileSync(join(root, 'kernel/labextension/package.json'), 'utf8')) as { name: string }
  const folders = [join(data, 'kernels', name), join(data, 'labextensions', extension.name)].filter((folder) =>
    existsSync(folder),
  )
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true })
    } catch (error) {
      throw new Error(`${folder} cannot be removed (${(error as Error).message}): remove it by hand`)
    }
  }
  return folders
}

/** Writes the kernelspec; returns its folder. Does not touch what is as it should be already. */
export function installKernelspec(where: Where, main: string): string {
  const { name, root } = shippedPackage()
  const folder = join(dataFolder(where), 'kernels', name)
  const logos = join(root, 'kernel/kernelspec')
  try {
    mkdirSync(folder, { recursive: true })
    const text = `${JSON.stringify(kernelJson(main, name), null, 2)}\n`
    const file = join(folder, 'kernel.json')
    if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text)
    for (const logo of readdirSync(logos)) copyFileSync(join(logos, logo), join(folder, logo))
  } catch (error) {
    const reason = (error as Error).message
    throw new Error(`the kernelspec cannot be written to ${folder} (${reason}): choose another place with --prefix`)
  }
  return folder
}

function dataFolder({ user, prefix, sysPrefix }: Where): string {
  if ([user, prefix, sysPrefix].filter((one) => one !== undefined && one !== false).length > 1)
    throw new Error('--user, --prefix and --sys-prefix exclude each other: give one of them')
  if (prefix === '') throw new Error('--prefix needs a folder: --prefix DIR writes to DIR/share/jupyter')
  if (prefix !== undefined) return join(resolve(prefix), 'share/jupyter')
  return sysPrefix ? join(pythonPrefix(), 'share/jupyter') : userFolder()
}

/** Jupyter's data folder of this user. */
export function userFolder(): string {
  const { JUPYTER_DATA_DIR, XDG_DATA_HOME } = process.env
  if (JUPYTER_DATA_DIR) return JUPYTER_DATA_DIR
  if (process.platform === 'darwin') return join(homedir(), 'Library/Jupyter')
  return join(XDG_DATA_HOME || join(homedir(), '.local/share'), 'jupyter')
}

function pythonPrefix(): string {
  for (const python of ['python3', 'python']) {
    const { status, stdout } = spawnSync(python, ['-c', 'import sys; print(sys.prefix)'], { encoding: 'utf8' })
    if (status === 0) return stdout.trim()
  }
  throw new Error('--sys-prefix asks Python for its folder, but neither python3 nor python runs: use --prefix DIR')
}
