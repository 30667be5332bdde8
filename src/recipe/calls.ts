/** The calls that a recipe may have: nothing else in a file is ever called. */
import { POLICIES } from '../policies/index.js'
import { functionOf } from '../policies/policy.js'

export interface Kind {
  /** What its result is called in a program. */
  result: string
  /** A function of the library, else a method of a result. */
  of: 'library' | 'result'
  /** Its result is to be awaited. */
  waits?: boolean
  /** It is a property. */
  gets?: boolean
  /** The same call has the same result, so once is enough. */
  once?: boolean
}

const library = (result: string, waits = false): Kind => ({ result, of: 'library', waits })
const method = (result: string, waits = false): Kind => ({ result, of: 'result', waits })
const property = (result: string): Kind => ({ result, of: 'result', gets: true })

const TASKS = [
  ...[
    'languageModelling',
    'passkey',
    'needle',
    'needles',
    'keyValues',
    'variableTracking',
    'copying',
    'classification',
  ],
  ...['commonWords', 'frequentWords', 'questions', 'summaries', 'ruler', 'timing'],
]

const KINDS: Readonly<Record<string, Kind>> = {
  load: { ...library('model', true), once: true },
  'Trace.open': { ...library('trace', true), once: true },
  headImportance: library('importance', true),
  'Importance.from': { ...library('importance', true), once: true },
  'Judgement.from': { ...library('judgement', true), once: true },
  roofline: library('predicted', true),
  measureCost: library('cost', true),
  'Cost.from': { ...library('cost', true), once: true },
  sweep: library('study'),
  ...Object.fromEntries(TASKS.map((name) => [name, library('task')])),
  summary: method('summary'),
  effects: method('effects'),
  differences: method('differences'),
  exploring: property('exploring'),
  confirming: property('confirming'),
  session: method('session'),
  generate: method('run', true),
  trace: property('trace'),
  shadow: method('shadow', true),
  minus: method('difference'),
  compensation: method('compensation'),
  autopsy: method('autopsy'),
  with: method('importance'),
  agreement: method('agreement'),
  judge: method('judgement', true),
  suggestBudgets: method('suggested'),
  part: method('figure'),
}

/** What a session is asked on the way. */
const STEPS: readonly string[] = ['prefill', 'append', 'step', 'change', 'evict', 'pin', 'unevict', 'run']

export function kindOf(call: string): Kind | undefined {
  if (Object.hasOwn(KINDS, call)) return KINDS[call]
  if (/^figures\.[a-z]\w*$/.test(call)) return library('figure')
  return isPolicy(call) ? { ...library('policy'), once: true } : undefined
}

/** A function that makes a policy. */
export const isPolicy = (call: string): boolean => POLICIES.some(({ name }) => functionOf(name) === call)

export const isStep = (call: string): boolean => STEPS.includes(call)
