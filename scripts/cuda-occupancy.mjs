/** How many warps of a kernel a multiprocessor has room for: by its registers, its threads, and the shared memory that its launches ask for. */
import { dirname, join } from 'node:path'
import { output } from './python.mjs'

/** Tells the launches; compiled with the backend. */
export const LAUNCHES = 'native/cuda/prove/launches.cpp'

/** KB of shared memory of a multiprocessor. Otherwise they are alike: 64 warps, 32 blocks, 65,536 registers in four quarters. */
const SHARED = { sm_80: 164, sm_90: 228, sm_100: 228 }
/** Bytes of each block's shared memory that are CUDA's, and by how many bytes it is given out. */
const OWN = 1024
const STEP = 128

/** Warps of a multiprocessor with as many blocks as fit. `shared`: bytes of a block, static ones with them. */
export function warps(arch, registers, threads, shared) {
  const of = Math.ceil(threads / 32)
  const quarter = Math.floor(65_536 / 4 / (Math.ceil((registers * 32) / 256) * 256))
  const bytes = Math.ceil((shared + OWN) / STEP) * STEP
  const blocks = Math.min(
    32,
    Math.floor(64 / of),
    Math.floor((4 * quarter) / of),
    Math.floor((SHARED[arch] * 1024) / bytes),
  )
  return blocks * of
}

/**
 * Of each kernel in `objects`, which LAUNCHES is among, by its symbol: [threads of a block, bytes of shared memory asked for] of usual shapes
 * and of whatever takes most; one of them alone where usual shapes do not launch it. Or { wrong }, a line.
 */
export async function launches({ root, nvcc, folder, objects }) {
  const program = join(folder, 'launches')
  const words = ['-std=c++17', '-Wall', '-Wextra', '-Werror', `-I${join(root, 'native')}`]
  const headers = ['-isystem', join(dirname(dirname(nvcc)), 'include')]
  const source = join(root, 'native/cuda/prove/launched.cpp')
  // What launches no kernel of its own but needs all of CUDA's runtime.
  const linked = objects.filter((path) => !path.endsWith('products.cu.o'))
  const built = await output(process.env.CXX ?? 'c++', [...words, ...headers, source, ...linked, '-o', program])
  const ran = built.status === 0 ? await output(program, []) : built
  if (ran.status !== 0) return { wrong: `launches.cpp: ${ran.text.split('\n').slice(0, 5).join('\n')}` }
  const told = {}
  for (const line of ran.text.trimEnd().split('\n')) {
    const [symbol, ...numbers] = line.split(' ')
    const [threads, shared, mostThreads, mostShared] = numbers.map(Number)
    const all = [
      [threads, shared],
      [mostThreads, mostShared],
    ]
    told[symbol] = all.filter(([some]) => some > 0)
  }
  return { told }
}
