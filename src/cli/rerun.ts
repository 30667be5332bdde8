/** `npx zslab rerun FILE`: the program that makes a figure again, from the card in its file; --run makes it. */
import { existsSync } from 'node:fs'
import { dirname, join, parse, relative, resolve } from 'node:path'
import { Command } from 'commander'
import { ZslabError } from '../errors.js'
import { hashOfStudy } from '../experiments/hash.js'
import type { Figure } from '../figures/index.js'
import { csvOf } from '../frames.js'
import * as zslab from '../index.js'
import { LoadedModel } from '../loaded-model.js'
import { hashOfNumbers, madeAgain } from '../recipe/again.js'
import { cardInFile } from '../recipe/in-file.js'
import { programOf } from '../recipe/program.js'
import { counted } from '../show/texts.js'
import { EXIT, json, note, print, UsageError } from './common.js'

interface Options {
  run?: boolean
  json?: boolean
}

export function rerunCommand(): Command {
  return new Command('rerun')
    .description('how a figure was made: the program that makes it again, from the card in its file')
    .argument('<file>', 'an .svg, .png, .pdf, .html or .json that figure.save() wrote')
    .option('--run', 'make it again, beside FILE under a new name, and say whether its numbers are the same')
    .option('--json', 'the card itself')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 no whole card, something is missing, or other numbers, 2 wrong usage.',
    )
    .action(run)
}

async function run(path: string, options: Options): Promise<void> {
  if (options.run && options.json) throw new UsageError('--run and --json were given: leave one')
  const card = await cardInFile(path)
  if (options.json) return print(json(card))
  const to = newName(path)
  if (!options.run) return print(programOf(card, (place) => shownPlace(placeOf(place, path)), shownPlace(to)).trimEnd())
  const { figure, changed } = await madeAgain(card, zslab, (place) => foundPlace(place, path), hashOf)
  const again = figure as Figure
  await again.save(to, card.style as zslab.StyleOptions)
  for (const what of changed) note(what)
  const { columns } = again
  const rows = counted(Object.values(columns)[0]?.length ?? 0)
  if (hashOfNumbers(csvOf(columns)) === card.numbers.sha256)
    return print(`${shownPlace(to)}: the same numbers, ${rows} rows`)
  const { zslab: version, node } = card.versions
  print(
    `${shownPlace(to)}: other numbers, ${rows} rows where there were ${counted(card.numbers.rows)}, made by zslab ${version} on node ${node}`,
  )
  process.exitCode = EXIT.failure
}

/** A path of the card: from where its file lies, or from where we are. */
function placeOf(place: string, file: string): string {
  const [beside, here] = [resolve(dirname(file), place), resolve(place)]
  return !existsSync(beside) && existsSync(here) ? here : beside
}

function foundPlace(place: string, file: string): string {
  const path = placeOf(place, file)
  if (existsSync(path)) return path
  throw new ZslabError(
    'file',
    `${shownPlace(path)} is not there, which the figure was made from: put it there, or take ${file} back to where it was written`,
  )
}

const shownPlace = (path: string) => relative(process.cwd(), path) || '.'

/** f.svg → f-again.svg, or the first f-again-N.svg that is not there. */
function newName(path: string): string {
  const { dir, name, ext } = parse(resolve(path))
  for (let i = 1; ; i++) {
    const to = join(dir, `${name}-again${i > 1 ? `-${i}` : ''}${ext}`)
    if (!existsSync(to)) return to
  }
}

/** Of what a result was read from. */
async function hashOf(result: unknown): Promise<string | undefined> {
  if (result instanceof LoadedModel) return result.file.sha256()
  return result instanceof zslab.Study ? hashOfStudy(result) : undefined
}
