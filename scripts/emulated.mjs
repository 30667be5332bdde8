/**
 * Builds the library with the emulated GPU for tests, build/emulated/libzslab_cuda_emulated.so, and prints its path: named by
 * ZSLAB_CUDA_LIBRARY it is what device 'cuda' takes. Needs Boost.Context.
 *   --jobs=N   compilers at once (all CPUs)
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { buildEmulated, CMakeFailure } from './cmake.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const wrong = process.argv.slice(2).find((word) => !/^--jobs=[1-9]\d*$/.test(word))
if (wrong) {
  console.error(`scripts/emulated.mjs has no option ${wrong}; it has --jobs=N`)
  process.exitCode = 2
} else
  try {
    const jobs = Number(process.argv[2]?.slice('--jobs='.length) ?? Math.min(8, availableParallelism()))
    console.log((await buildEmulated(ROOT, jobs)).library)
  } catch (error) {
    if (!(error instanceof CMakeFailure)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
