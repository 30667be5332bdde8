/** How much of a value its text shows: so much of every list and string that a browser can still show it all, whatever is nested in what. */
import { types, type InspectOptions } from 'node:util'

const DEPTH = 4
/** From the most to the least: of each list so many items, of each string so many characters. */
const STEPS = [
  [100, 10_000],
  [100, 1000],
  [50, 400],
  [25, 200],
  [12, 100],
  [6, 50],
] as const
/** Numbers, names and the like in one text; of strings that many characters are one. */
const ITEMS = 4000
const CHARACTERS = 10
/** Objects are shown with all their names: then the text itself is cut. */
const TEXT = 60_000

/** The options of `inspect` for a value. */
export function extentOf(value: unknown): InspectOptions {
  const fits =
    STEPS.find(([items, characters]) => new Count(items, characters).of(value, DEPTH) <= ITEMS) ?? STEPS.at(-1)!
  const [maxArrayLength, maxStringLength] = fits
  return { depth: DEPTH, maxArrayLength, maxStringLength, breakLength: 100 }
}

/** `text`, or its first lines and how many more there are. */
export function cut(text: string): string {
  if (text.length <= TEXT) return text
  const end = text.lastIndexOf('\n', TEXT)
  const shown = text.slice(0, end > TEXT / 2 ? end : TEXT)
  const rest = text.slice(shown.length)
  const lines = rest.split('\n').length - 1
  return `${shown}\n… ${lines > 0 ? `${lines} more lines` : `${rest.length} more characters`}`
}

/** Counts until there are too many. Runs no code of the value: neither getters nor proxies. */
class Count {
  private total = 0

  constructor(
    private readonly items: number,
    private readonly characters: number,
  ) {}

  of(value: unknown, depth: number): number {
    this.total += typeof value === 'string' ? 1 + Math.min(value.length, this.characters) / CHARACTERS : 1
    if (typeof value !== 'object' || value === null || depth < 0 || types.isProxy(value)) return this.total
    if (ArrayBuffer.isView(value)) this.total += Math.min((value as Uint8Array).length ?? 0, this.items)
    else if (types.isMap(value)) this.all(Map.prototype.entries.call(value), depth)
    else if (types.isSet(value)) this.all(Set.prototype.values.call(value), depth)
    else this.all(namedIn(value), depth, Array.isArray(value) ? this.items : Infinity)
    return this.total
  }

  private all(values: Iterable<unknown>, depth: number, most = this.items): void {
    let taken = 0
    for (const value of values) {
      if (this.total > ITEMS || ++taken > most) return
      this.of(value, depth - 1)
    }
  }
}

function* namedIn(value: object): Iterable<unknown> {
  const names = Array.isArray(value) ? value.keys() : Object.keys(value)
  for (const name of names) yield Object.getOwnPropertyDescriptor(value, name)?.value
}
