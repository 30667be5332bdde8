/** The kernelspec by which Jupyter finds this kernel: what its kernel.json says, and how one of ours is told from others. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { shippedPackage } from './cell/package.js'

export interface Kernelspec {
  argv: string[]
  display_name: string
  language: string
  interrupt_mode: 'message' | 'signal'
  kernel_protocol_version: string
  metadata: Record<string, unknown>
}

/** `main`: the absolute path of the kernel's program. */
export function kernelJson(main: string, displayName: string): Kernelspec {
  const { name, version } = shippedPackage()
  return {
    argv: [process.execPath, main, 'start', '{connection_file}'],
    display_name: displayName,
    language: 'typescript',
    interrupt_mode: 'message',
    kernel_protocol_version: '5.5.0',
    metadata: { debugger: false, supported_encryption: ['curve'], [name]: { version } },
  }
}

/** What the kernelspec's `folder` says. Throws where there is none that can be read. */
export function readKernelspec(folder: string): Partial<Kernelspec> {
  const found: unknown = JSON.parse(readFileSync(join(folder, 'kernel.json'), 'utf8'))
  if (typeof found !== 'object' || found === null) throw new Error('it is not an object')
  return found
}

/** Whether the kernelspec in `folder` is one of ours: it says so, or starts a kernel of ours. */
export function isOurs(folder: string): boolean {
  try {
    const { argv, metadata } = readKernelspec(folder)
    const starts = Array.isArray(argv) && /kernel\/main\.js$/.test(String(argv[1])) && argv[2] === 'start'
    return starts || shippedPackage().name in (metadata ?? {})
  } catch {
    return false
  }
}

/** The name as Jupyter writes it. Kernels are folders, so it must be a plain name. */
export function kernelName(given = shippedPackage().name): string {
  if (!/^[a-z0-9._-]+$/i.test(given) || /^\.+$/.test(given))
    throw new Error(
      `--name ${JSON.stringify(given)} cannot name a kernel: use letters, digits, points, underscores and hyphens`,
    )
  return given.toLowerCase()
}

export function displayNameFor(name: string, given?: string): string {
  if (given === undefined) return `TypeScript (${name})`
  if (given.trim() === '' || /[\u0000-\u001f]/.test(given))
    throw new Error(`--display-name ${JSON.stringify(given)} cannot be shown: give a line of text`)
  return given
}
