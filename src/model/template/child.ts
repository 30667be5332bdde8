/** The process that runs one chat template: a question as JSON on stdin, the answer as JSON on stdout. */
import { readFileSync, writeSync } from 'node:fs'
import { programOf } from './source.js'
import { runTemplate } from './run.js'
import { Failure, Raised, Unsupported } from './values.js'

export interface Question {
  template: string
  values: Record<string, unknown>
  /** Characters that the text may have. */
  most: number
}

/** Without a text: what failed. read: the template's language; raised: by the template itself; unsupported: `message` names it. */
export type Answer =
  { text: string } | { text?: undefined; step: 'read' | 'run' | 'raised' | 'unsupported'; message: string }

function answerTo({ template, values, most }: Question): Answer {
  let step: 'read' | 'run' = 'read'
  try {
    const program = programOf(template)
    step = 'run'
    const text = runTemplate(program, values)
    if (text.length > most) throw new Failure(`its result has more than ${most} characters`)
    return { text }
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).slice(0, 500)
    if (error instanceof Raised) return { step: 'raised', message }
    return { step: error instanceof Unsupported ? 'unsupported' : step, message }
  }
}

const question = JSON.parse(readFileSync(0, 'utf8')) as Question
writeSync(1, ' ') // ready: from here on the time counts
process.stdout.write(JSON.stringify(answerTo(question)))
