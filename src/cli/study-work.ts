/** `npx zslab study work`: one task of a study that was submitted to a cluster. */
import { Command } from 'commander'
import { ZslabError } from '../errors.js'
import { doJob } from '../experiments/hand.js'
import { jobOf } from '../experiments/jobs.js'
import { measuring } from '../experiments/measures/index.js'
import { TrialStore } from '../experiments/store.js'
import type { Trial } from '../experiments/trial.js'
import { wishesOf } from '../experiments/wishes.js'
import { readWork } from '../experiments/work-folder.js'
import { load, type LoadOptions } from '../load.js'
import { counted } from '../show/texts.js'
import { interruptSignal, note, whole } from './common.js'

export function studyWorkCommand(): Command {
  return new Command('work')
    .description('one task of a study that study.submit() gave to a cluster: what its script calls')
    .argument('<folder>', 'the work that was written for it')
    .argument('<task>', 'its number', whole)
    .action(run)
}

async function run(folder: string, task: number): Promise<void> {
  const { study, job, measure, model: spec } = await readWork(folder, task)
  const store = await TrialStore.open(study)
  const { cancelled } = await wishesOf(study)
  const left = jobOf(job, store, cancelled)
  if (!left) return note(`task ${task}: all ${counted(job.trials.length)} trials are there already, or cancelled`)
  const { signal, done } = interruptSignal()
  try {
    const { path, weights, threads, isa, device } = spec
    const model = await load(path, { weights, threads, isa, device, progress: false, signal } as LoadOptions)
    const sha256 = await model.file.sha256({ signal })
    if (sha256 !== spec.sha256)
      throw new ZslabError(
        'file',
        `${path} is another model on this machine (SHA-256 ${sha256}, expected ${spec.sha256})`,
      )
    // Whoever runs the study may just have tidied its folder.
    const keep = (trial: Trial) => store.keep(trial).catch(() => store.keep(trial))
    await doJob(model, measuring(measure), left, keep, { signal })
    note(`task ${task}: ${counted(left.trials.length)} trials of ${job.facts.name}`)
  } finally {
    done()
  }
}
