/** Public objects show themselves: one text, the same in a terminal (util.inspect) and as a cell's last line. */
import { inspect } from 'node:util'

const DISPLAY = Symbol.for('Jupyter.display')

/** Makes `target` (or all that inherit from it) show what `text` says; nested deeper than inspect goes, its first line. */
export function showsItself<T extends object>(target: T, text: (self: T) => string): T {
  const method = (value: unknown): PropertyDescriptor => ({
    value,
    configurable: true,
    writable: true,
    enumerable: false,
  })
  const shown = (self: T): string => {
    try {
      return text(self)
    } catch {
      // A prototype, or an object whose memory was freed.
      return `[${(self.constructor as { name?: string } | undefined)?.name ?? 'object'}]`
    }
  }
  function inspected(this: T, depth: number): string {
    const [first, ...rest] = shown(this).split('\n')
    return depth < 0 ? `[${first}]` : [first, ...rest].join('\n')
  }
  Object.defineProperty(target, inspect.custom, method(inspected))
  // What draws itself as well keeps its picture.
  if (!(DISPLAY in target))
    Object.defineProperty(
      target,
      DISPLAY,
      method(function (this: T) {
        return { 'text/plain': shown(this) }
      }),
    )
  return target
}
