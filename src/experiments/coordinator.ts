/** Who runs a study: one process at a time writes to its folder. One that died has left nothing to wait for. */
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import lockfile from 'proper-lockfile'
import { shown, ZslabError } from '../errors.js'
import { eitherSignal } from '../progress.js'
import { partName, replaceFile, unwritten } from '../trace/files/replace.js'

/** A process that runs a study. */
export interface Coordinator {
  host: string
  pid: number
}

/**
 * Runs `work` as the study's only coordinator; its signal is aborted with `signal`, and where the folder's lock is taken away. Errors: 'invalid' naming the
 * process that is, 'file'.
 */
export async function asCoordinator<T>(
  folder: string | undefined,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (folder === undefined) return work(signal)
  const lost = new AbortController()
  const onCompromised = () =>
    lost.abort(
      new ZslabError(
        'file',
        `the lock of the study in ${shown(folder)} was taken away, so another process may run it: what is done is kept; run it again`,
      ),
    )
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw unwritten(folder, 'trials', error)
  })
  const release = await taken(folder, onCompromised)
  try {
    const own: Coordinator = { host: hostname(), pid: process.pid }
    await replaceFile(join(folder, WHO), 'the name of the coordinator', [JSON.stringify(own)])
    return await work(eitherSignal(signal, lost.signal))
  } finally {
    await rm(join(folder, WHO), { force: true }).catch(() => undefined)
    // Fails only where the lock is gone already: then there is nothing to give back.
    await release().catch(() => undefined)
  }
}

const WHO = 'coordinator.json'
const SAYS_MS = 300
const lockOf = (folder: string) => join(folder, 'lock')

async function taken(folder: string, onCompromised: () => void): Promise<() => Promise<void>> {
  const lockfilePath = lockOf(folder)
  for (let tries = 0; ; tries++) {
    try {
      return await lockfile.lock(folder, { lockfilePath, onCompromised })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw unwritten(folder, 'trials', error)
      // Whoever took the lock just now says at once who it is; who died between the two never does.
      if (!alive(await coordinator(folder))) await sleep(SAYS_MS)
      const who = await coordinator(folder)
      if (tries || alive(who)) throw refused(folder, who)
      // In one step: of several that find the dead one, one takes its lock away.
      const gone = join(folder, partName())
      await rename(lockfilePath, gone).then(
        () => rm(gone, { recursive: true, force: true }),
        () => undefined,
      )
    }
  }
}

/** Undefined: nobody does. */
export async function whoRuns(folder: string): Promise<Coordinator | undefined> {
  const locked = await lockfile.check(folder, { lockfilePath: lockOf(folder) }).catch(() => false)
  const who = locked ? await coordinator(folder) : undefined
  return alive(who) ? who : undefined
}

async function coordinator(folder: string): Promise<Coordinator | undefined> {
  try {
    const { host, pid } = JSON.parse(await readFile(join(folder, WHO), 'utf8')) as Partial<Coordinator>
    return typeof host === 'string' && Number.isInteger(pid) && pid! > 0 ? { host, pid: pid! } : undefined
  } catch {
    return undefined
  }
}

/** As far as can be told: of another machine nothing can. */
function alive(who: Coordinator | undefined): boolean {
  if (!who) return false
  if (who.host !== hostname()) return true
  try {
    process.kill(who.pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

const refused = (folder: string, who: Coordinator | undefined) =>
  new ZslabError(
    'invalid',
    `the study in ${shown(folder)} is being run by ${who ? `process ${who.pid} on ${who.host}` : 'another process'}: wait for it, or give another store`,
  )
