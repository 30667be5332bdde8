/** `npx zslab doctor`: what this machine has, what is missing, and the command that adds it. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { PROGRAM, snapshotPath } from '../../kernel/compiler/snapshot.js'
import { findExtension, findInstalls, hiddenOf, type Install } from '../../kernel/installs.js'
import { cacheFolder, cacheList } from '../model/index.js'
import { projectRoot } from '../native/binding.js'
import { BUILT_LIBRARY, deviceList, namedLibrary } from '../native/device.js'
import { engineOf } from '../native/engine.js'
import { ownVersion } from '../trace/card.js'
import { BROWSER_HELP, findBrowser, findProgram } from './browser.js'
import { json, print } from './common.js'

interface Finding {
  name: string
  ok: boolean
  /** False: zslab works without. */
  needed: boolean
  found: string
  /** What adds it; '' where nothing is missing. */
  help: string
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('what was found on this machine, and what would help')
    .option('--json', 'one object on stdout: version, ok, findings [{ name, ok, needed, found, help }]')
    .action(async (options: { json?: boolean }) => {
      const findings = await examine()
      const ok = findings.every((finding) => finding.ok || !finding.needed)
      if (options.json) print(json({ version: ownVersion(), ok, findings }))
      else for (const line of findings.map(told)) print(line)
      if (!ok) process.exitCode = 1
    })
}

const told = ({ ok, needed, name, found, help }: Finding) =>
  `${ok ? 'ok     ' : needed ? 'MISSING' : 'without'}  ${name.padEnd(16)}${found}${help ? `; ${help}` : ''}`

async function examine(): Promise<Finding[]> {
  return [
    platform(),
    nativePart(),
    library(),
    products(),
    program('compiler', findProgram('c++', 'g++', 'clang++'), 'only for building: `apt-get install g++`'),
    python(),
    jupyter(),
    kernels(),
    snapshot(),
    extension(),
    program('browser', findBrowser(), `notebooks as pdf need one: ${BROWSER_HELP}`),
    cuda(),
    await models(),
  ]
}

function platform(): Finding {
  const tested = process.platform === 'linux' && process.arch === 'x64'
  const found = `Node ${process.versions.node} on ${process.platform} ${process.arch}${tested ? '' : ' (untested)'}`
  return { name: 'platform', ok: true, needed: true, found, help: '' }
}

function nativePart(): Finding {
  try {
    const { isa, threads, cpuFeatures } = engineOf().info
    const found = `${isa}, ${threads} threads (${cpuFeatures.join(' ')})`
    return { name: 'native part', ok: true, needed: true, found, help: '' }
  } catch (error) {
    return {
      name: 'native part',
      ok: false,
      needed: true,
      found: (error as Error).message,
      help: 'run `npx zslab build`',
    }
  }
}

function snapshot(): Finding {
  const ok = existsSync(PROGRAM) && existsSync(snapshotPath())
  return {
    name: 'kernel start',
    ok,
    needed: false,
    found: ok
      ? 'from a snapshot of the compiler'
      : `no snapshot for Node ${process.versions.node}: kernels start a second later`,
    help: ok ? '' : 'run `npx zslab build`',
  }
}

function library(): Finding {
  try {
    const { library: found } = engineOf().info
    const fast = found !== 'portable'
    const help = fast
      ? ''
      : 'for faster prompts with bfloat16 weights run `npx zslab build --force` with python3, pip and a package index at hand'
    return { name: 'matrix library', ok: fast, needed: false, found, help }
  } catch {
    return {
      name: 'matrix library',
      ok: false,
      needed: false,
      found: 'unknown: the native part does not load',
      help: '',
    }
  }
}

/**
 * Which kernels multiply weights here, and what the faster ones would need. As make_library of native/model/library.cpp chooses: a test
 * compares it with what loaded models say.
 */
function products(): Finding {
  const base = { name: 'products', needed: false }
  try {
    const { isa, library, cpuFeatures, quickBf16 } = engineOf().info
    const halves = ['avx512bf16', 'amx-bf16'].filter((feature) => cpuFeatures.includes(feature))
    const missing = [
      library === 'portable' && 'the build lacks oneDNN',
      isa !== 'avx512' && 'the CPU lacks avx512',
      !quickBf16 &&
        (halves.length
          ? 'the CPU lacks amx-bf16, and multiplies pairs no faster than float32'
          : 'the CPU lacks avx512bf16 and amx-bf16'),
    ].filter((one) => one !== false)
    const rounded = missing.length
      ? `the same, not the faster products of bfloat16: ${missing.join(', ')}`
      : `${library}, rows rounded to bfloat16 (${halves.join(', ')})`
    const found = `up to 24 rows (steps, forks, batches): own kernels (${isa}), weights widened in registers; more (prompts): own kernels, weights widened to float32 a block at a time; with weights 'bfloat16' ${rounded}`
    return { ...base, ok: true, found, help: '' }
  } catch {
    return { ...base, ok: false, found: 'unknown: the native part does not load', help: '' }
  }
}

/** What lies at `path`; without it zslab works, too. */
function program(name: string, path: string | undefined, help: string): Finding {
  return { name, ok: path !== undefined, needed: false, found: path ?? 'none', help: path ? '' : help }
}

/** What a GPU needs: the library, a driver, a device. */
function cuda(): Finding {
  const base = { name: 'cuda', needed: false, ok: false, help: '' }
  const named = namedLibrary()
  const { nvcc, why = 'it was not tried' } = cudaBuild()
  if (named === undefined && !existsSync(BUILT_LIBRARY))
    return {
      ...base,
      found: `library not built: ${why}`,
      help: 'for a GPU: nvcc 13.0 in PATH, or its toolkit named by CUDA_HOME, then `npx zslab build`',
    }
  const library = named === undefined ? `library built with nvcc ${nvcc}` : `${named} (ZSLAB_CUDA_LIBRARY)`
  try {
    const { kind, driver, runtime, devices } = deviceList(named ?? BUILT_LIBRARY)
    const size = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
    const list = devices.map(({ name, memory, free, capability }, i) => {
      return `cuda:${i} ${name} (capability ${capability}, ${size(free)} of ${size(memory)} free)`
    })
    const of = (version: number) => `${Math.floor(version / 1000)}.${(version % 1000) / 10}`
    const how = kind === 'emulated' ? 'emulated, for tests' : `driver ${of(driver)}, runtime ${of(runtime)}`
    return { ...base, ok: true, found: `${how}: ${list.join(', ')}; ${library}` }
  } catch (error) {
    return { ...base, found: `${library}, not usable: ${(error as Error).message}` }
  }
}

/** What scripts/build.mjs says of its last build. */
function cudaBuild(): { nvcc?: string; why?: string } {
  try {
    const { cuda = {} } = JSON.parse(readFileSync(join(projectRoot, 'build/built.json'), 'utf8')) as { cuda?: object }
    return cuda
  } catch {
    return {}
  }
}

function python(): Finding {
  const asked = spawnSync('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { encoding: 'utf8' })
  const version = asked.status === 0 ? asked.stdout.trim() : 'none'
  const [major, minor] = version.split('.').map(Number)
  const ok = major > 3 || (major === 3 && minor >= 9)
  const help = ok
    ? ''
    : 'Jupyter and the default model need Python ≥ 3.9 with pip: `apt-get install python3-venv python3-pip`'
  return { name: 'python3', ok, needed: false, found: version, help }
}

function jupyter(): Finding {
  const ok = existsSync(join(projectRoot, '.venv/bin/jupyter-lab'))
  return {
    name: 'jupyter',
    ok,
    needed: false,
    found: ok ? 'in .venv' : 'none',
    help: ok ? '' : '`npm start` installs it into the project',
  }
}

/** Where Jupyter may look besides where it looks by itself: `zslab lab` runs the project's own. */
const OWN = [join(projectRoot, '.venv/share/jupyter')]

/** Kernelspecs that Jupyter sees: none is broken, none hides another copy of zslab. */
function kernels(): Finding {
  const base = { name: 'kernel', needed: false, ok: false }
  const installs = findInstalls(OWN)
  if (installs.length === 0) return { ...base, found: 'not known to Jupyter', help: 'run `npx zslab install`' }
  const remove = ({ folder, options }: Install) =>
    options === undefined ? `delete ${folder}` : `run \`npx zslab uninstall ${options}\``
  const broken = installs.filter((one) => one.broken !== undefined)
  if (broken.length > 0) {
    const found = broken.map(({ folder, broken }) => `${folder}: ${broken}`).join('; ')
    const again = broken[0].options
    return {
      ...base,
      found,
      help: `${again === undefined ? '' : `run \`npx zslab install ${again}\` or `}${remove(broken[0])}`,
    }
  }
  const [twice] = hiddenOf(installs)
  if (twice) {
    const { hidden, by } = twice
    const found = `installed twice as ${by.name}: ${by.folder} starts ${by.main}, ${hidden.folder} starts ${hidden.main}`
    return { ...base, found, help: `Jupyter takes the first; ${remove(hidden)} or ${remove(by)}` }
  }
  return { ...base, ok: true, found: installs.map(({ folder }) => folder).join(', '), help: '' }
}

function extension(): Finding {
  const base = { name: 'lab extension', needed: false, ok: false }
  const found = findExtension(OWN)
  const help = 'run `npx zslab install` as the kernel was installed, then reload JupyterLab'
  if (!found) return { ...base, found: 'none, so figures are pictures in JupyterLab', help }
  const { folder, wrong } = found
  return wrong === undefined
    ? { ...base, ok: true, found: folder, help: '' }
    : { ...base, found: `${folder}: ${wrong}`, help }
}

async function models(): Promise<Finding> {
  const { models: list } = await cacheList()
  const found = list.length ? list.map((model) => model.name).join(', ') : 'none'
  return {
    name: 'models',
    ok: list.length > 0,
    needed: false,
    found: `${found} (${cacheFolder()})`,
    help: list.length ? '' : 'fetched at first use',
  }
}
