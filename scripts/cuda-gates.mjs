/**
 * What can be said of the CUDA kernels without a GPU: nvcc compiles each for every architecture and PTX without a warning; of none
 * has a multiprocessor room for fewer warps than native/cuda/resources.json says, by registers, threads and shared memory, nor has any
 * anything in local memory (stack, spills), nor double precision but where a list allows it; linked, they are the library that the engine opens,
 * which says a sentence where there is no driver. Needs `npm run build` before.
 * One line a file; what broke below; exit status 1 if something did. Fetches a pinned nvcc into .venv once (105 MB).
 *   --record   writes what was found into the table, to be reviewed with the kernels
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backendSources, linkedLibrary } from './cuda-linked.mjs'
import { LAUNCHES, launches, warps } from './cuda-occupancy.mjs'
import { venvNvcc } from './cuda.mjs'
import { missing, output, pip } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TABLE = join(ROOT, 'native/cuda/resources.json')
const NVCC = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-cuda-runtime==13.0.96',
  'nvidia-cuda-cccl==13.0.85',
]
/** Files whose kernels may compute in double precision, and why; reviewed with them. */
const MEANS = "means of merged slots and ln of their weights are in double by specification (5), with the CPU's bits"
const DOUBLE = {
  'compress.cu': "means of merged slots are in double by specification (4, 5c), with the CPU's bits",
  'upkeep.cu': MEANS,
  'token_step_f32.cu': MEANS,
  'token_step_f16.cu': MEANS,
  'token_step_bf16.cu': MEANS,
}
const DOUBLE_USED = 'warning : Program is doing double precision computations.'
const ARCHITECTURES = ['80', '90', '100']
/** As native/cuda/CMakeLists.txt has them, and ptxas's own findings. */
const FLAGS = [
  '-std=c++17',
  '-O3',
  '--fmad=false',
  '--expt-relaxed-constexpr',
  '-Xcompiler=-Wall,-Wextra,-fPIC,-fvisibility=hidden',
  `-I${join(ROOT, 'native')}`,
  `-I${join(ROOT, 'native/include')}`,
  '-x=cu',
]
const FOR_KERNELS = [
  ...ARCHITECTURES.map((arch) => `-gencode=arch=compute_${arch},code=sm_${arch}`),
  '-gencode=arch=compute_100,code=compute_100',
  '-Xptxas=-v,-warn-double-usage',
]
/** The host's part alone. */
const FOR_BACKEND = ['-gencode=arch=compute_80,code=sm_80']

const record = process.argv.includes('--record')
const wrong = process.argv.slice(2).find((word) => word !== '--record')
if (wrong) {
  console.error(`scripts/cuda-gates.mjs has no option ${wrong}; it has --record`)
  process.exitCode = 2
} else await gates()

async function gates() {
  const failed = missing(ROOT, NVCC).length ? await pip(ROOT, NVCC) : undefined
  const nvcc = venvNvcc(ROOT)
  if (failed || !nvcc) return broke([`nvcc cannot be put into .venv: ${failed ?? 'its packages lack it'}`])
  const folder = mkdtempSync(join(tmpdir(), 'zslab-gates-'))
  try {
    const found = {}
    const broken = []
    const kernels = readdirSync(join(ROOT, 'native/cuda')).filter((name) => name.endsWith('.cu'))
    const sources = kernels.map((name) => join('native/cuda', name))
    const backend = backendSources(ROOT)
    const queue = [...sources, ...backend, LAUNCHES]
    const object = (source) => join(folder, `${basename(source)}.o`)
    const lane = async () => {
      for (let source; (source = queue.shift());) await compile(nvcc, source, object(source), found, broken)
    }
    await Promise.all([lane(), lane()])
    const common = { root: ROOT, nvcc, folder }
    if (!broken.length) {
      broken.push(...(await linkedLibrary({ ...common, objects: [...sources, ...backend].map(object) })))
      const { told, wrong } = await launches({ ...common, objects: [...sources, LAUNCHES].map(object) })
      broken.push(...(wrong ? [wrong] : occupied(found, told)))
    }
    // Warps are not known of what does not compile: that is told alone.
    if (broken.length) return broke(broken)
    const sorted = Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (record) writeFileSync(TABLE, lines(sorted))
    else broken.push(...compared(sorted, JSON.parse(readFileSync(TABLE, 'utf8'))))
    console.log(
      `cuda gates: ${Object.keys(sorted).length} kernels for ${ARCHITECTURES.map((a) => `sm_${a}`).join(', ')} and PTX`,
    )
    if (broken.length) broke(broken)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function compile(nvcc, source, object, found, broken) {
  const from = Date.now()
  const name = basename(source)
  const flags = [...FLAGS, ...(name.endsWith('.cu') ? FOR_KERNELS : FOR_BACKEND)]
  const words = [...flags, '-c', join(ROOT, source), '-o', object]
  const { status, text } = await output(nvcc, words)
  console.log(`${name}: ${status === 0 ? 'compiled' : 'failed'} (${((Date.now() - from) / 1000).toFixed(0)} s)`)
  const all = text.split('\n').filter((line) => /\b(warning|error)\b/.test(line))
  const told = all.filter((line) => !(DOUBLE[name] && line.includes(DOUBLE_USED)))
  if (DOUBLE[name] && status === 0 && told.length === all.length)
    broken.push(`${name} computes nothing in double precision any more: take it off the list`)
  broken.push(...told.slice(0, 10).map((line) => `${name}: ${line}`))
  if (status !== 0 && !told.length) broken.push(`${name}: nvcc ended with status ${status}`)
  // ptxas tells each kernel in three lines: its name, stack and spills, registers.
  const kernels = text.matchAll(
    /Compiling entry function '(\S+)' for '(\S+)'[^]*?(\d+) bytes stack frame, (\d+) bytes spill stores[^]*?Used (\d+) registers(?:.*?(\d+) bytes smem)?/g,
  )
  for (const [, symbol, arch, stack, spilled, registers, own = 0] of kernels) {
    const kernel = readable(symbol)
    ;(found[kernel] ??= { own: Number(own) })[arch] = [Number(registers)]
    if (Number(stack) || Number(spilled))
      broken.push(
        `${kernel}, ${arch}: ${stack} bytes of stack, ${spilled} spilled with ${registers} registers: nothing may be in local memory; let it have more (__launch_bounds__)`,
      )
  }
}

/** Puts into `found` how kernels are launched and the warps that there is room for. Returns which are not launched. */
function occupied(found, told) {
  const launched = Object.fromEntries(Object.entries(told).map(([symbol, shapes]) => [readable(symbol), shapes]))
  const broken = []
  for (const [kernel, { own, ...archs }] of Object.entries(found)) {
    const shapes = (launched[kernel] ?? []).map(([threads, shared]) => [threads, shared + own])
    if (!shapes.length) broken.push(`${kernel} is launched by nothing in ${LAUNCHES}: add the function that does`)
    for (const [arch, [registers]] of Object.entries(archs)) {
      const room = shapes.map(([threads, shared]) => warps(arch, registers, threads, shared))
      if (room.includes(0)) broken.push(`${kernel}, ${arch}: a multiprocessor has no room for a block of it`)
      archs[arch] = [registers, room]
    }
    found[kernel] = { launches: shapes, ...archs }
  }
  return broken
}

/** `decode_attention<BF16, BF16, 3, 64>` */
function readable(symbol) {
  return execFileSync('c++filt', ['-p', symbol], { encoding: 'utf8' })
    .trim()
    .replace(/^void /, '')
    .replace(/zs::cuda::|\(anonymous namespace\)::|_NV_ANON_NAMESPACE::|\(int\)/g, '')
    .replace(/\(.*$/, '')
}

function compared(found, table) {
  const help = 'review it, then `node scripts/cuda-gates.mjs --record`'
  const broken = []
  for (const kernel of Object.keys(table))
    if (!found[kernel]) broken.push(`${kernel} is in the table and is no more: ${help}`)
  for (const [kernel, { launches: shapes, ...archs }] of Object.entries(found))
    for (const [arch, [registers, room]] of Object.entries(archs)) {
      const was = table[kernel]?.[arch]
      if (!was || was[1].length !== room.length) broken.push(`${kernel}, ${arch}: not in the table: ${help}`)
      else if (room.some((count, i) => count < was[1][i]))
        broken.push(
          `${kernel}, ${arch}: ${registers} registers and ${shapes.map(([, shared]) => shared).join(' or ')} bytes of shared memory leave room for ${room.join(' or ')} warps a multiprocessor, in the table ${was[1].join(' or ')}: ${help}`,
        )
    }
  return broken
}

/**
 * A kernel a line: { name: { launches: [[threads, bytes of shared memory], …], arch: [registers, [warps, …]] } },
 * launches and warps of usual shapes, then of all.
 */
function lines(found) {
  const kernels = Object.entries(found).map(
    ([kernel, archs]) => `  ${JSON.stringify(kernel)}: ${JSON.stringify(archs)}`,
  )
  return `{\n${kernels.join(',\n')}\n}\n`
}

function broke(what) {
  console.log(what.join('\n'))
  process.exitCode = 1
}
