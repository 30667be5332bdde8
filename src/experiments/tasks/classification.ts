/** In-context classification: examples with drawn labels; which label has another one? What the labels mean is nowhere but in the context. */
import { integer, options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { hidden } from './haystack.js'
import { SIZED, sized, type SizedOptions } from './sized.js'

export interface ClassificationOptions extends SizedOptions {
  /** Labels, each of a group of words; default 4. */
  classes?: number
  /** Questions about the same examples, each about another word; default 1. */
  turns?: number
}

const GROUPS = [
  'apple banana cherry grape lemon mango orange peach pear plum melon strawberry',
  'bear cat cow dog goat horse lion monkey pig rabbit sheep tiger',
  'bus bicycle boat car plane ship taxi train tram truck van tractor',
  'black blue brown green grey gold pink purple red white yellow violet',
  'arm chest ear eye finger foot hand knee leg mouth nose shoulder',
  'bed bench cabinet chair couch cupboard desk drawer shelf sofa stool table',
  'actor baker doctor farmer lawyer nurse painter pilot singer soldier teacher writer',
  'cloud fog frost hail lightning rain rainbow snow storm sunshine thunder wind',
].map((words) => words.split(' '))

/** Words of a group that only questions have. */
const KEPT = 4

/** Prompts are so many of each length; each of a seed is a cluster of its own. Errors: 'invalid'. */
export function classification(options: ClassificationOptions = {}): Task {
  checked('classification', options, ['classes', 'turns', ...SIZED])
  const classes = integer('classes', options.classes ?? 4, 2, GROUPS.length)
  const turns = integer('turns', options.turns ?? 1, 1, classes * KEPT)
  return sized(
    {
      call: 'classification',
      name: 'classification',
      about: `words of ${classes} groups with drawn labels; the label of another word is asked`,
      options: { classes, turns },
      tokens: 8,
      scores: ['contains'],
      // Half-way from guessing to knowing.
      able: (1 + 1 / classes) / 2,
      turns,
    },
    options,
    ({ model, draws, length }) => {
      const groups = draws.some(GROUPS, classes).map((words) => {
        const mixed = draws.some(words, words.length)
        return { label: draws.secret('word'), kept: mixed.slice(0, KEPT), shown: mixed.slice(KEPT) }
      })
      const example = () => {
        const { label, shown } = draws.of(groups)
        return `Word: ${draws.of(shown)}\nLabel: ${label}`
      }
      const asked = draws.some(
        groups.flatMap(({ label, kept }) => kept.map((word) => ({ word, label }))),
        turns,
      )
      return {
        context: hidden(model, [], length, example, '\n'),
        questions: asked.map(({ word, label }) => ({
          question: `Word: ${word}`,
          answers: [label],
          begin: 'Label:',
        })),
      }
    },
  )
}
