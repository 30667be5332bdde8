/** What is asked of the model's bench on the command line. */
import { LENGTHS, type Length, type Options } from './setting.js'

export interface Asked {
  /** In their own order, whatever was asked first. */
  rows: string[]
  options: Options
  /** What cannot be, in a sentence. */
  wrong?: string
}

/** ROW … and name=value: `rows` there are, all of them where none is named. */
export function asked(words: string[], rows: string[]): Asked {
  const options: Options = { turns: 11, threads: 2 }
  const named = new Set<string>()
  let wrong: string | undefined
  for (const word of words) {
    const [name, value] = word.split('=')
    if (value === undefined && rows.includes(name)) named.add(name)
    else if ((name === 'turns' || name === 'threads') && /^[1-9]\d*$/.test(value ?? '')) options[name] = Number(value)
    else if (name === 'lengths' && value?.split(',').every((one) => one in LENGTHS))
      options.lengths = value.split(',') as Length[]
    else if (name === 'weights' && value) options.weights = value as Options['weights']
    else
      wrong ??= `model has no ${word}; it has the rows ${rows.join(', ')}, turns=11, threads=2, weights=NAME and lengths=${Object.keys(LENGTHS).join(',')}`
  }
  return { rows: rows.filter((name) => !named.size || named.has(name)), options, wrong }
}
