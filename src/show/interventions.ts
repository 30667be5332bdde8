/** The text of what was asked of a cache beside its tokens. */

export interface InterventionFacts {
  step: number
  changes: Readonly<Record<string, { from: unknown; to: unknown }>>
}

export function interventionText({ step, changes }: InterventionFacts): string {
  const each = Object.entries(changes).map(([name, { from, to }]) => `${name} ${String(from)} → ${String(to)}`)
  return `options changed after step ${step}: ${each.join(', ')}`
}
