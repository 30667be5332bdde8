/** The library for GPUs, libzslab_cuda.so: which nvcc this machine has, and the build. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findTool, output } from './python.mjs'

const PINNED = '13.0'
/** Machine code for these, and PTX of the last for all that come. */
const ARCHITECTURES = '80-real;90-real;100'

/** nvcc of the packages nvidia-cuda-* of PyPI in .venv; undefined where it is not there. */
export function venvNvcc(root) {
  const lib = join(root, '.venv/lib')
  const folders = existsSync(lib) ? readdirSync(lib) : []
  return folders.map((name) => join(lib, name, 'site-packages/nvidia/cu13/bin/nvcc')).find((path) => existsSync(path))
}

/** { path, version } of the first nvcc that fits (PATH, CUDA_HOME, .venv), or { why }. */
export function findNvcc(root) {
  const home = process.env.CUDA_HOME
  const places = [findTool('nvcc'), home && findTool(join(home, 'bin/nvcc')), venvNvcc(root)].filter(Boolean)
  let why = 'no nvcc in PATH, CUDA_HOME or .venv'
  for (const path of places) {
    const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
    const version = status === 0 ? /\bV(\d+\.\d+\.\d+)/.exec(stdout)?.[1] : undefined
    if (version?.startsWith(`${PINNED}.`)) return { path, version }
    const is = version ? `is ${version}` : 'does not run'
    if (path === places[0]) why = `${path} ${is}, and ${PINNED}.x is needed: name its toolkit by CUDA_HOME`
  }
  return { why }
}

/**
 * Builds `library` in `folder` with the engine's own `built` library, its output into `log`. Returns undefined, or why it cannot be
 * built, in a line.
 */
export async function buildCuda({ root, folder, library, log, nvcc, cmake, compiler, built, jobs }) {
  const kit = dirname(dirname(nvcc))
  // Where the packages of PyPI have their libraries, nvcc does not look.
  const flags = existsSync(join(kit, 'lib/libcudart_static.a')) ? `-L${join(kit, 'lib')}` : ''
  const settings = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_CXX_COMPILER: compiler,
    CMAKE_CUDA_COMPILER: nvcc,
    CMAKE_CUDA_HOST_COMPILER: compiler,
    CMAKE_CUDA_FLAGS: flags,
    CMAKE_CUDA_ARCHITECTURES: ARCHITECTURES,
    CMAKE_CUDA_VISIBILITY_PRESET: 'hidden',
    ZSLAB_ADDON: 'OFF',
    ZSLAB_CUDA: 'ON',
    ZSLAB_BUILT: built,
    ZSLAB_ONEDNN: '',
  }
  const words = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
  mkdirSync(folder, { recursive: true })
  for (const step of [
    ['-S', root, '-B', folder, ...words],
    ['--build', folder, '--parallel', String(jobs), '--target', 'zslab_device'],
  ]) {
    const { status, text } = await output(cmake, step)
    writeFileSync(log, text, { flag: 'a' })
    if (status === 0) continue
    rmSync(folder, { recursive: true, force: true })
    const line = reason(text)
    return `${line.trim().slice(0, 200)} (the whole output is in ${log})`
  }
  copyFileSync(join(folder, 'libzslab_cuda.so'), library)
  return undefined
}

/** Of what CMake and the compilers said, the line that says most. */
function reason(text) {
  const lines = text.split('\n')
  const told = lines.find((line) => /\b(error|fatal|cannot find)\b/i.test(line) && !/^CMake Error|^See also/.test(line))
  const at = lines.findIndex((line) => line.startsWith('CMake Error'))
  return told ?? lines.find((line, i) => at >= 0 && i > at && line.trim()) ?? 'its build ended early'
}
