/** The compiler API of tslab's own TypeScript, which has the types of ours for all that is used here. */
export type TypeScript = typeof import('typescript')
