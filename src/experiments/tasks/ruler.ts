/** The 13 tasks of RULER in shape (Hsieh et al. 2024, arXiv 2404.06654): words, texts and sentences are zslab's own, so their scores are no RULER scores. */
import { oneOf, options as checked } from '../../expect.js'
import type { Task } from '../task.js'
import { needles, type NeedlesOptions } from './needles.js'
import { questions, type QuestionsOptions } from './questions.js'
import { SIZED, type SizedOptions } from './sized.js'
import { variableTracking } from './variable-tracking.js'
import { commonWords, frequentWords } from './word-counts.js'
import { madeBy, Place, Recipe } from '../../recipe/recipe.js'

const needlesOf =
  (more: NeedlesOptions) =>
  (options: SizedOptions): Task =>
    needles({ keys: 1, ...more, ...options })

const GENERATED = {
  niah_single_1: needlesOf({ filler: 'noise' }),
  niah_single_2: needlesOf({}),
  niah_single_3: needlesOf({ value: 'uuid' }),
  niah_multikey_1: needlesOf({ keys: 4 }),
  niah_multikey_2: needlesOf({ filler: 'needles' }),
  niah_multikey_3: needlesOf({ filler: 'needles', key: 'uuid', value: 'uuid' }),
  niah_multivalue: needlesOf({ values: 4 }),
  niah_multiquery: needlesOf({ keys: 4, asked: 4 }),
  vt: variableTracking,
  cwe: commonWords,
  fwe: frequentWords,
} as const

type Generated = keyof typeof GENERATED
const READ = ['qa_1', 'qa_2'] as const
type Read = (typeof READ)[number]

export const RULER = [...(Object.keys(GENERATED) as Generated[]), ...READ] as const
export type RulerTask = (typeof RULER)[number]

/** `qa_1` and `qa_2` (there: SQuAD and HotpotQA) take a file of your own, with the fields of questions(). Errors: 'invalid', and as of questions(). */
export function ruler(name: Generated, options?: SizedOptions): Task
export function ruler(name: Read, options: QuestionsOptions): Task
export function ruler(name: RulerTask, options: SizedOptions | QuestionsOptions = {}): Task {
  oneOf('name', name, RULER)
  const task = isRead(name)
    ? questions({ scores: ['contains'], ...(options as QuestionsOptions) })
    : GENERATED[name](checked(`ruler ${name}`, options, SIZED) as SizedOptions)
  const file = 'file' in options ? { file: new Place(options.file) } : {}
  return madeBy({ ...task, name: `ruler ${name}` }, Recipe.of('ruler', [name, { ...options, ...file }]))
}

const isRead = (name: RulerTask): name is Read => (READ as readonly string[]).includes(name)
