/** Turns: everything that is compared is asked once a turn, one after another, and ratios are of one turn. */

export interface Spread {
  low: number
  median: number
  high: number
}

/** Tenth, half and ninetieth of a hundred. */
export function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => {
    const place = share * (sorted.length - 1)
    const below = sorted[Math.floor(place)]
    return below + (sorted[Math.ceil(place)] - below) * (place % 1)
  }
  return { low: at(0.1), median: at(0.5), high: at(0.9) }
}

export const median = (values: number[]) => spread(values).median

export function shown(values: number[], digits: number): string {
  const { low, median: half, high } = spread(values)
  return `${half.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`
}

/** Somebody compared, and what asking once brings. */
export interface Contender<T = number> {
  name: string
  ask(): Promise<T>
}

/** What one of them brought, turn by turn. */
export interface Taken<T = number> {
  name: string
  values: T[]
}

// Spinning threads of the one must not slow the other.
const pause = () => new Promise((resolve) => setTimeout(resolve, 30))

/** Asks all of them `turns` times, after `warm` times that do not count: memory is touched, kernels are made. */
export async function inTurns<T>(turns: number, contenders: Contender<T>[], warm = 0): Promise<Taken<T>[]> {
  const taken = contenders.map(({ name }): Taken<T> => ({ name, values: [] }))
  for (let turn = -warm; turn < turns; ++turn)
    for (const [i, one] of contenders.entries()) {
      await pause()
      const value = await one.ask()
      if (turn >= 0) taken[i].values.push(value)
    }
  return taken
}

/** What a row's bytes take to be read: GB/s by pattern and turn. */
export interface Limit {
  bytes: number
  patterns: string[]
  rates: number[][]
}

export interface Row {
  title: string
  unit: string
  digits: number
  ours: Taken
  theirs: Taken[]
  /** Of times in ms. */
  limit?: Limit
}

/** Ours, theirs each with its ratio to ours, and ours as a share of the limit of reading. */
export function rowText({ title, unit, digits, ours, theirs, limit }: Row): string {
  const line = (name: string, value: string, rest: string) => `  ${name.padEnd(46)}${value.padEnd(26)}${rest}`.trimEnd()
  const text = [`${title}, ${unit}`, line(ours.name, shown(ours.values, digits), limit ? limitText(ours, limit) : '')]
  for (const { name, values } of theirs) {
    const ratios = values.map((value, turn) => value / ours.values[turn])
    text.push(line(name, shown(values, digits), `${shown(ratios, 2)} × ours`))
  }
  return text.join('\n')
}

function limitText(ours: Taken, { bytes, patterns, rates }: Limit): string {
  const byPattern = patterns.map((_, p) => rates.map((turn) => turn[p]))
  const fastest = byPattern.reduce((best, rate, p) => (median(rate) > median(byPattern[best]) ? p : best), 0)
  const shares = ours.values.map((ms, turn) => (100 * bytes) / (byPattern[fastest][turn] * 1e6) / ms)
  const rate = median(byPattern[fastest])
  return `${shown(shares, median(shares) < 10 ? 1 : 0)}% of the byte limit: ${(bytes / 1e6).toFixed(0)} MB at ${rate.toFixed(1)} GB/s (${patterns[fastest]}), ${(bytes / rate / 1e6).toFixed(1)} ms`
}
