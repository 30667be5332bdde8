/**
 * A snapshot of the compiler's process that has read the types it always needs: starting from it takes a fifth of the time. It
 * belongs to one version of node and one build of the compiler; whoever has none starts without.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { shippedPackage } from '../cell/package.js'

/** The compiler's program in one file, as a snapshot needs it. */
export const PROGRAM = join(shippedPackage().root, 'dist/kernel/compiler/main.cjs')
const NAME = /^compiler-[0-9a-f]+\.blob$/

/** Where the snapshot of this compiler for this node lies, if somebody has made it. Throws where the compiler is not built. */
export function snapshotPath(): string {
  const { root, version } = shippedPackage()
  const hash = createHash('sha256').update(readFileSync(PROGRAM))
  hash.update(JSON.stringify([root, version, process.version, process.arch, process.platform]))
  return join(root, 'build', `compiler-${hash.digest('hex').slice(0, 16)}.blob`)
}

/** Makes it, and removes those of other versions. Throws with the reason where node cannot. */
export function makeSnapshot(): string {
  const path = snapshotPath()
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  try {
    const words = ['--no-warnings', '--snapshot-blob', unfinished, '--build-snapshot', PROGRAM]
    const env = { ...process.env, NODE_OPTIONS: '' }
    const made = spawnSync(process.execPath, words, { encoding: 'utf8', env, timeout: 120_000 })
    if (made.status !== 0) throw new Error(made.error?.message ?? `${made.stdout}${made.stderr}`.trim())
    renameSync(unfinished, path)
  } finally {
    rmSync(unfinished, { force: true })
  }
  for (const name of readdirSync(folder)) if (NAME.test(name) && join(folder, name) !== path) rmSync(join(folder, name))
  return path
}
