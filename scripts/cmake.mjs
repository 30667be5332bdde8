/** CMake for the native tests and benches: found or fetched, a folder of build/ configured, its targets built. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lock } from 'proper-lockfile'
import { findTool, output, pip } from './python.mjs'

/** What the user can mend; the message says how. */
export class CMakeFailure extends Error {}

/**
 * Builds `targets` of the project at `root` in `folder` with as many `jobs` at once. `settings` are CMake's, by name.
 * Throws a CMakeFailure with the compiler's lines.
 */
export async function buildTargets({ root, folder, settings, targets, jobs }) {
  const cmake = await findCMake(root)
  forgetOtherRoot(root, folder)
  mkdirSync(folder, { recursive: true })
  const given = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
  // Tests that run at the same time may ask for the same.
  const unlock = await lock(folder, { stale: 60_000, retries: { forever: true, minTimeout: 500, maxTimeout: 2000 } })
  try {
    await ok(
      cmake,
      ['-S', root, '-B', folder, '-DCMAKE_BUILD_TYPE=Release', '-DZSLAB_ADDON=OFF', ...given],
      'configure',
    )
    await ok(cmake, ['--build', folder, '--parallel', String(jobs), '--target', ...targets], 'build')
  } finally {
    await unlock()
  }
}

/**
 * The settings with which targets link the engine that build.mjs made (brought up to date first), so that it is neither compiled
 * again nor another one than the addon's.
 */
export async function builtEngine(root) {
  const words = [join(root, 'scripts/build.mjs'), '--native']
  // Tests do not wait for nvcc unasked.
  const { status, text } = await output(process.execPath, words, { ...process.env, ZSLAB_CUDA: '0' })
  if (status !== 0) throw new CMakeFailure(text.trimEnd())
  const { oneDnn } = JSON.parse(readFileSync(join(root, 'build/built.json'), 'utf8')).native
  return { ZSLAB_BUILT: join(root, 'build/libzslab_static.a'), ZSLAB_ONEDNN: oneDnn }
}

export const BOOST_HELP = 'apt-get install libboost-context-dev'

/** Whether the compiler finds Boost.Context, on whose fibers emulated CUDA kernels run. */
export const boostContext = () =>
  spawnSync(process.env.CXX ?? 'c++', ['-x', 'c++', '-E', '-'], {
    input: '#include <boost/context/detail/fcontext.hpp>',
  }).status === 0

/** Builds the library with the emulated GPU; returns its path, and the folder whose kernels native tests link. */
export async function buildEmulated(root, jobs) {
  if (!boostContext()) throw new CMakeFailure(`emulated CUDA kernels need Boost.Context: ${BOOST_HELP}`)
  const folder = join(root, 'build/emulated')
  // Linked without oneDNN, which the process that loads it brings.
  const settings = { ...(await builtEngine(root)), ZSLAB_ONEDNN: '', ZSLAB_EMULATED: 'ON' }
  await buildTargets({ root, folder, settings, targets: ['zslab_device'], jobs })
  return { folder, library: join(folder, 'libzslab_cuda_emulated.so') }
}

async function findCMake(root) {
  const inVenv = join(root, '.venv/bin/cmake')
  const works = (path) => path && spawnSync(path, ['--version']).status === 0
  const known = () => [findTool('cmake'), existsSync(inVenv) ? inVenv : undefined].find(works)
  const failed = known() ? undefined : await pip(root, ['cmake==3.31.6'])
  const found = known()
  if (found) return found
  throw new CMakeFailure(`CMake is missing (${failed ?? 'the fetched one does not run'}): \`apt-get install cmake\``)
}

/** CMake refuses a folder configured from another place (a moved checkout): it is removed first. */
function forgetOtherRoot(root, folder) {
  const cache = join(folder, 'CMakeCache.txt')
  if (!existsSync(cache)) return
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1]
  if (home && join(home, '/') !== join(root, '/')) rmSync(folder, { recursive: true, force: true })
}

async function ok(cmake, words, what) {
  const { status, text } = await output(cmake, words)
  if (status === 0) return
  const lines = text.trimEnd().split('\n')
  const errors = lines.filter((line) => /error|undefined reference/i.test(line)).slice(0, 15)
  throw new CMakeFailure(`CMake could not ${what}:\n${(errors.length ? errors : lines.slice(-20)).join('\n')}`)
}
