/** `npx zslab study`: the folders of studies, seen and steered from outside while another process runs them. */
import { Command } from 'commander'
import { outlineOf, outlinesBelow, requeue, type Outline } from '../experiments/outline.js'
import { alsoAsked, changeWishes, type Which } from '../experiments/wishes.js'
import { listText, outlineText } from '../show/study-outline-text.js'
import { json, note, print, UsageError } from './common.js'
import { studyWorkCommand } from './study-work.js'

export function studyCommand(): Command {
  const study = new Command('study').description('studies that have a store: how far they are, and what they are to do')
  study
    .command('list')
    .description('studies in a folder and below')
    .argument('[folder]', 'default: this one', '.')
    .option('--json', 'an array of what show --json gives, without trials')
    .action(async (folder: string, { json: wantsJson }: { json?: boolean }) => {
      const { outlines, faults } = await outlinesBelow(folder)
      for (const fault of faults) note(fault)
      print(wantsJson ? json(outlines.map(brief)) : listText(outlines, folder))
    })
  study
    .command('show')
    .description('what a study is, how far it is, and what each setting has')
    .argument('<folder>', 'its store')
    .option('--json', 'one object on stdout: folder, facts, state, by setting the trials done, failed and unchanged')
    .action(async (folder: string, { json: wantsJson }: { json?: boolean }) => {
      const found = await outlineOf(folder)
      print(wantsJson ? json(found) : outlineText(found))
    })
  const asking = (name: string, about: string, ask: (folder: string) => Promise<string>) =>
    study
      .command(name)
      .description(about)
      .argument('<folder>', 'its store')
      .action(async (folder: string) => {
        await outlineOf(folder)
        note(await ask(folder))
      })
  asking('pause', 'whoever runs it waits, within a second or so, until resume', async (folder) => {
    await changeWishes(folder, () => ({ paused: true }))
    return `${folder} is paused: npx zslab study resume ${folder}`
  })
  asking('resume', 'goes on after pause', async (folder) => {
    await changeWishes(folder, () => ({ paused: false }))
    return `${folder} goes on`
  })
  asking('stop', 'whoever runs it ends; what is done is kept', async (folder) => {
    if (!(await outlineOf(folder)).running) throw new UsageError(`nobody runs ${folder}: there is nothing to stop`)
    await changeWishes(folder, () => ({ stopped: true, paused: false }))
    return `${folder} is told to stop: what is done is kept, and the next run goes on from it`
  })
  which(study.command('cancel').description('trials that are not begun are left out, until requeue')).action(
    async (folder: string, options: Which) => {
      await outlineOf(folder)
      const one = only(options)
      await changeWishes(folder, ({ cancelled }) => ({ cancelled: alsoAsked(cancelled, one) }))
      note(`${named(one)} in ${folder} is left out until npx zslab study requeue ${folder}`)
    },
  )
  which(study.command('requeue').description('trials that were cancelled or failed are to be done after all')).action(
    async (folder: string, options: Which) => {
      const count = await requeue(folder, only(options))
      note(
        `${count} failed trials, and what was cancelled, are to be done again: by whoever runs ${folder}, now or next`,
      )
    },
  )
  study.addCommand(studyWorkCommand())
  return study
}

const which = (command: Command) =>
  command
    .argument('<folder>', "the study's store")
    .option('--policy <call>', "only those whose policy’s call has this in it, such as 'alpha: 0'")
    .option('--prompt <name>', 'only those of this prompt')

const only = ({ policy, prompt }: Which): Which => ({
  ...(policy !== undefined && { policy }),
  ...(prompt !== undefined && { prompt }),
})

const named = ({ policy, prompt }: Which) =>
  [policy ?? 'every policy', prompt === undefined ? 'every prompt' : `prompt ${prompt}`].join(' on ')

const brief = ({ settings: _, ...rest }: Outline) => rest
