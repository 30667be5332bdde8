/** What a file's JSON has to be, said in small checks that are put together. */

export type Check = (value: unknown) => boolean

/** Finite. */
export const isNumber: Check = (value) => Number.isFinite(value)
export const isWord: Check = (value) => typeof value === 'string'
export const isFlag: Check = (value) => typeof value === 'boolean'
export const isWhole =
  (least: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least

export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value)
/** Or not there. */
export const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value)
/** An array of at least so many. */
export const isList =
  (check: Check, least = 0): Check =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.every(check)
/** An object with these fields, whatever else it has. */
export const isObject =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([name, check]) => check((value as Record<string, unknown>)[name]))
