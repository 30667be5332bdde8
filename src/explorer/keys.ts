/** What keys do in the explorer: ← → by one, with Shift by ten, with Ctrl, Alt or ⌘ by a hundred; Home and End. */

export interface Key {
  key: string
  shiftKey: boolean
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
}

export const strideOf = (key: Key) => (key.ctrlKey || key.altKey || key.metaKey ? 100 : key.shiftKey ? 10 : 1)

/** Where `key` leads from `at` in 0 … last, `down` further for ↑ ↓ (0: they do nothing); undefined: not a key of ours. */
export function moved(key: Key, at: number, last: number, down = 0): number | undefined {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -down, ArrowDown: down }[key.key]
  if (key.key === 'Home') return 0
  if (key.key === 'End') return last
  return by ? Math.min(last, Math.max(0, at + by * strideOf(key))) : undefined
}
