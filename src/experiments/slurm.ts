/** Slurm's commands, as far as studies need them: submit an array, see what of it waits or runs, hold, release and cancel it. No accounting is asked. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ZslabError } from '../errors.js'
import { callOptions, integer, invalid, oneOf, text } from '../expect.js'

export interface SlurmOptions {
  engine: 'slurm'
  /** So many tasks at once at most; default: as many as the cluster gives. */
  array?: number
  /** Of a task, as sbatch takes it, such as '2:00:00'. */
  time?: string
  /** Of a task, such as '8G'. */
  mem?: string
  partition?: string
  /** Of a task, and its threads; default: those of the model. */
  cpus?: number
  /** So often a task that ended without its trials is submitted again; default 3. */
  retries?: number
  /** Further options of sbatch, such as ['--account=me']. */
  sbatch?: readonly string[]
}

const SLURM_OPTIONS = ['engine', 'array', 'time', 'mem', 'partition', 'cpus', 'retries', 'sbatch']

/** Errors: 'invalid' naming the option. */
export function slurmOptions(given: Readonly<Record<string, unknown>>): SlurmOptions {
  callOptions('submit', given, SLURM_OPTIONS)
  oneOf('engine', given.engine, ['slurm'])
  for (const name of ['array', 'cpus']) if (given[name] !== undefined) integer(name, given[name], 1, 1e6)
  if (given.retries !== undefined) integer('retries', given.retries, 0, 100)
  for (const name of ['time', 'mem', 'partition']) if (given[name] !== undefined) text(name, given[name])
  const { sbatch } = given
  if (sbatch !== undefined && !(Array.isArray(sbatch) && sbatch.every((one) => typeof one === 'string')))
    throw invalid('sbatch', "an array of options such as ['--account=me']", sbatch)
  return given as unknown as SlurmOptions
}

const execute = promisify(execFile)
const LIMIT_MS = 60_000

/** Errors: 'unsupported' where the command is not there; 'internal' with what it says. */
async function slurm(command: string, ...words: string[]): Promise<string> {
  try {
    return (await execute(command, words, { timeout: LIMIT_MS, maxBuffer: 1 << 26 })).stdout
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string }
    if (code === 'ENOENT')
      throw new ZslabError(
        'unsupported',
        `${command} is not on this machine: expected Slurm’s commands, as a login node of a cluster has them (Debian: apt-get install slurm-client)`,
      )
    throw new ZslabError('internal', `${command} failed: ${(stderr || message).trim()}`, { cause: error })
  }
}

/** Tasks of `script` by number → the id of their array. */
export async function submitArray(
  script: string,
  tasks: readonly number[],
  { array, time, mem, partition, cpus, sbatch = [] }: SlurmOptions,
): Promise<string> {
  const at = array === undefined ? '' : `%${array}`
  const option = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [`--${name}=${value}`]
  const words = [
    ...option('time', time),
    ...option('mem', mem),
    ...option('partition', partition),
    ...option('cpus-per-task', cpus),
    ...sbatch,
  ]
  const said = await slurm('sbatch', '--parsable', `--array=${ranges(tasks)}${at}`, ...words, script)
  return said.trim().split(';')[0]
}

/** 1, 2, 3, 7 as 1-3,7. */
export function ranges(numbers: readonly number[]): string {
  const found: [number, number][] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = found.at(-1)
    if (last && number === last[1] + 1) last[1] = number
    else found.push([number, number])
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(',')
}

export interface QueuedTask {
  task: number
  /** As squeue has it: PENDING, RUNNING, COMPLETING … */
  state: string
  reason: string
}

/** States of what will not run again by itself. */
const OVER = 'BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT'.split(
  ' ',
)

/** Tasks of these arrays that wait or run. Errors: 'internal' where the controller does not answer. */
export async function queued(ids: readonly string[]): Promise<QueuedTask[]> {
  if (!ids.length) return []
  const asked = slurm('squeue', '--noheader', '--array', `--jobs=${ids.join(',')}`, '--format=%K|%T|%r')
  const said = await asked.catch((error: unknown) => {
    // It has forgotten them: they ended some time ago.
    if (error instanceof ZslabError && /invalid job id/i.test(error.message)) return ''
    throw error
  })
  return said
    .split('\n')
    .map((line) => line.trim().split('|'))
    .filter(([task, state]) => /^\d+$/.test(task) && !OVER.includes(state))
    .map(([task, state, reason]) => ({ task: Number(task), state, reason }))
}

export const cancelArrays = (ids: readonly string[]) => each(ids, (id) => slurm('scancel', id))
export const holdArrays = (ids: readonly string[]) => each(ids, (id) => slurm('scontrol', 'hold', id))
export const releaseArrays = (ids: readonly string[]) => each(ids, (id) => slurm('scontrol', 'release', id))

/** What ended meanwhile need not be told. */
async function each(ids: readonly string[], tell: (id: string) => Promise<string>): Promise<void> {
  for (const id of ids) await tell(id).catch(() => undefined)
}
