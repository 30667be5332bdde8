/** What may happen to a token, by the numbers that the engine writes (zs_action). */
export const ACTIONS = ['admit', 'leave', 'merge', 'drop'] as const
export type Action = (typeof ACTIONS)[number]

export const ACTION = Object.fromEntries(ACTIONS.map((name, i) => [name, i])) as Record<Action, number>
