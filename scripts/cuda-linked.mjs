/** What scripts/cuda-gates.mjs makes of the objects that it compiles: the library for GPUs, as the engine opens it. */
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { output } from './python.mjs'

/** What else is compiled by nvcc for the library, beside the kernels; as native/cuda/CMakeLists.txt has it. */
export function backendSources(root) {
  const of = (folder, fits) =>
    readdirSync(join(root, folder))
      .filter(fits)
      .map((name) => join(folder, name))
  return [
    ...of('native/cuda/backend', (name) => name.endsWith('.cpp')),
    ...of('native/cuda', (name) => /^cublaslt(_found)?\.cpp$/.test(name)),
  ]
}

/**
 * Links `objects` with the engine that `npm run build` made and CUDA's runtime, and asks the library through the engine what devices there
 * are. Returns what is wrong, line by line.
 */
export async function linkedLibrary({ root, nvcc, folder, objects }) {
  const engine = join(root, 'build/libzslab_static.a')
  const addon = join(root, 'build/Release/zslab.node')
  const absent = [engine, addon].filter((path) => !existsSync(path))
  if (absent.length) return [`${absent.join(' and ')} is not there to be linked with: \`npm run build\` makes it`]
  const library = join(folder, 'libzslab_cuda.so')
  // Where the packages of PyPI have their libraries, nvcc does not look.
  const words = ['-shared', '-cudart=static', `-L${join(dirname(dirname(nvcc)), 'lib')}`, '-o', library]
  const linked = await output(nvcc, [...words, ...objects, engine, '-Xlinker=-z,defs', '-ldl', '-lpthread'])
  if (linked.status !== 0) return ['libzslab_cuda.so does not link:', ...linked.text.split('\n').slice(0, 10)]
  const table = await output('nm', ['-CD', '--defined-only', library])
  const names = table.text.split('\n').flatMap((line) => /^\S+ \S (.+)/.exec(line)?.[1] ?? [])
  const broken = names.filter((name) => !exported(name)).map((name) => `libzslab_cuda.so exports ${name}`)
  if (!names.includes('zs_device_exports')) broken.push('libzslab_cuda.so does not export zs_device_exports')
  const { says, wrong } = devices(addon, library)
  if (wrong) broken.push(`libzslab_cuda.so, asked for its devices, gives no sentence: ${wrong}`)
  else console.log(`libzslab_cuda.so: linked; ${says}`)
  return broken
}

/** The entry, the engine's last error, the type that both sides throw, and what the C++ library makes visible of its templates. */
const exported = (name) =>
  /^(zs_device_exports|zs_last_error)$|\bzs::Error\b|\bstd::/.test(name) && !/zs::(?!Error\b)/.test(name)

/** Where there is no driver the answer is an error whose message is a sentence. */
function devices(addon, library) {
  try {
    const { devices } = JSON.parse(createRequire(import.meta.url)(addon).deviceList(library))
    return { says: `finds ${devices.map(({ name }) => name).join(', ')}` }
  } catch ({ message }) {
    const known =
      /^(no GPU can be used: .+: install NVIDIA's driver|NVIDIA's driver does not answer: .|the driver finds no GPU)/
    return known.test(message) ? { says: message } : { wrong: message }
  }
}
