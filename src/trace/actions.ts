/** What may happen to a token, and why, by the numbers that the engine writes (zs_action, zs_reason). */
export const ACTIONS = ['admit', 'leave', 'merge', 'drop', 'place', 'settle', 'options', 'pin', 'unevict'] as const
export type Action = (typeof ACTIONS)[number]

export const REASONS = ['prompt', 'token', 'age', 'score', 'choice', 'asked'] as const
export type Reason = (typeof REASONS)[number]

export const ACTION = Object.fromEntries(ACTIONS.map((name, i) => [name, i])) as Record<Action, number>
