/** The library with the emulated GPU, for tests of device 'cuda' on machines without one. */
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { projectRoot } from '../../src/native/binding.js'
import { leftOut } from '../left-out.js'

/** Whether the compiler finds what it needs; where not, that is recorded. */
export function canEmulate(what: string): boolean {
  const input = '#include <boost/context/detail/fcontext.hpp>'
  const found = spawnSync(process.env.CXX ?? 'c++', ['-x', 'c++', '-E', '-'], { input }).status === 0
  if (!found) leftOut(`${what}: no Boost.Context`, 'apt-get install libboost-context-dev')
  return found
}

/** Its path; built where it is not up to date (a minute or two). */
export function emulatedLibrary(): string {
  return execFileSync(process.execPath, [join(projectRoot, 'scripts/emulated.mjs')], { encoding: 'utf8' }).trim()
}
