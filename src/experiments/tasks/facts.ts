/** Facts that are hidden in texts, and the questions about them. */
import type { Secret } from './draws.js'
import type { Question } from './answering.js'

export interface Fact {
  key: string
  value: string
}

/** As it stands in a text. `kind`: of its value. */
export const tells = ({ key, value }: Fact, kind: Secret): string => `The secret ${kind} of ${key} is ${value}.`

/** About all values of some keys. */
export function asks(keys: readonly string[], values: readonly string[], kind: Secret): Question {
  const several = values.length > 1 ? 's' : ''
  const of = keys.length > 1 ? `${keys.slice(0, -1).join(', ')} and ${keys[keys.length - 1]}` : keys[0]
  const be = several ? 'are' : 'is'
  return {
    question: `What ${be} the secret ${kind}${several} of ${of} in the text above?`,
    answers: values,
    begin: `The secret ${kind}${several} of ${of} ${be}`,
  }
}
