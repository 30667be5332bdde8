/** What a study writes into its folder for tasks on other machines: the model, the measure, and for each prompt what is due. */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { shown, ZslabError } from '../errors.js'
import type { LoadedModel } from '../loaded-model.js'
import { ownVersion } from '../trace/card.js'
import { replaceFile, unwritten } from '../trace/files/replace.js'
import { jobOfSpec, jobSpecOf, modelSpecOf, type JobSpec, type ModelSpec } from './job-spec.js'
import type { Job } from './jobs.js'
import type { Measure } from './measures/index.js'

interface WorkFacts {
  format: 'zslab.work'
  version: 1
  zslab: string
  model: ModelSpec & { sha256: string }
  measure: Measure
  jobs: number
}

const FACTS = 'work.json'
const jobFile = (index: number) => `${String(index).padStart(6, '0')}.json`

/** → its folder, in that of the study, by what is due. Errors: 'unsupported' for policies that are no data, 'file'. */
export async function writeWork(
  study: string,
  model: LoadedModel,
  measure: Measure,
  jobs: readonly Job[],
  threads: number,
): Promise<string> {
  const specs = jobs.map(jobSpecOf)
  const keys = JSON.stringify(specs.map(({ trials }) => trials.map(({ key }) => key)))
  const folder = resolve(study, `work-${createHash('sha256').update(keys).digest('hex').slice(0, 12)}`)
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw unwritten(folder, 'the work of the study', error)
  })
  for (const [i, spec] of specs.entries())
    await replaceFile(join(folder, jobFile(i)), 'the work of the study', [JSON.stringify(spec)])
  const spec = { ...modelSpecOf(model, threads), sha256: await model.file.sha256() }
  const facts: WorkFacts = {
    format: 'zslab.work',
    version: 1,
    zslab: ownVersion(),
    model: spec,
    measure,
    jobs: jobs.length,
  }
  await replaceFile(join(folder, FACTS), 'the work of the study', [JSON.stringify(facts)])
  return folder
}

export interface WorkTask extends WorkFacts {
  /** The study's folder. */
  study: string
  job: Job
}

/** Errors: 'file' where there is no such work, 'invalid' where another zslab wrote it. */
export async function readWork(folder: string, index: number): Promise<WorkTask> {
  let facts: WorkFacts
  let spec: JobSpec
  try {
    facts = JSON.parse(await readFile(join(folder, FACTS), 'utf8')) as WorkFacts
    spec = JSON.parse(await readFile(join(folder, jobFile(index)), 'utf8')) as JobSpec
  } catch (error) {
    throw new ZslabError('file', `${shown(folder)} has no task ${index}: ${(error as Error).message}`, { cause: error })
  }
  if (facts.zslab !== ownVersion())
    throw new ZslabError(
      'invalid',
      `${shown(folder)} was written by zslab ${facts.zslab}, and this is ${ownVersion()}: take the same on every machine`,
    )
  return { ...facts, study: dirname(resolve(folder)), job: jobOfSpec(spec) }
}

export const removeWork = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true })
