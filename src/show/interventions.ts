/** The text of what was asked of a cache beside its tokens. */

export type InterventionFacts =
  | { step: number; action: 'options'; changes: Readonly<Record<string, { from: unknown; to: unknown }>> }
  | { step: number; action: 'evict' | 'pin' | 'unevict'; position: number; heads: number }

const SAID = { evict: 'was asked to leave', pin: 'was pinned', unevict: 'was brought back' }

export function interventionText(one: InterventionFacts): string {
  if (one.action !== 'options')
    return `position ${one.position} ${SAID[one.action]} after step ${one.step} in ${one.heads} kv head${one.heads === 1 ? '' : 's'}`
  const each = Object.entries(one.changes).map(([name, { from, to }]) => `${name} ${String(from)} → ${String(to)}`)
  return `options changed after step ${one.step}: ${each.join(', ')}`
}
