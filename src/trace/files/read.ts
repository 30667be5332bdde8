/** What a format gives of a file, and how it says that it cannot. */
import type { ColumnOf, Values } from '../columns.js'

/** Why a file cannot be read, in words that follow its name. */
export class Unreadable extends Error {}

/** A list for each row: [starts[row], starts[row + 1]) of `values`; an empty one is none. */
export interface Lists {
  starts: Int32Array
  values: Float32Array
}

export interface ReadColumns {
  metadata: ReadonlyMap<string, string>
  rows: number
  /** Numbers for words, and `none` where a value is missing. Throws Unreadable. */
  column(of: ColumnOf): Values
  /** Throws Unreadable where there are none of that name. */
  lists(name: string): Lists
}

/** Our number of a word in a file. Throws Unreadable where it is none of ours. */
export function numberOf(word: unknown, { name, words }: ColumnOf): number {
  const number = words!.indexOf(word as string)
  if (number >= 0) return number
  throw new Unreadable(`has ${JSON.stringify(word)} in column ${name}: expected one of ${words!.join(', ')}`)
}
