/** Disks that are full: a file system of a child's own. */
import { spawnSync } from 'node:child_process'
import { leftOut } from './left-out.js'

/** Program and words that stand before a command for which `folder` is a tmpfs with `options` ('size=1m'); undefined where a machine allows none, which is told as `what`. */
export function onDisk(what: string, folder: string, options: string): [string, ...string[]] | undefined {
  const words = ['-rm', 'sh', '-c', `mount -t tmpfs -o ${options} tmpfs "$0" && exec "$@"`, folder]
  if (spawnSync('unshare', [...words, 'true']).status === 0) return ['unshare', ...words]
  leftOut(
    `${what}: no file system of the test’s own`,
    'run as root, or allow user namespaces (sysctl -w kernel.unprivileged_userns_clone=1)',
  )
}
