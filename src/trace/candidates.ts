/** When a token came, and from when on it may leave: steps by its position. */

/** The step at which the token at `position` came in: 0 for those of the first prompt. */
export const cameAt = (promptTokens: number, position: number) => Math.max(0, position - promptTokens + 1)

/** The first step at which it is none of the newest `recent` tokens, which may not leave. */
export const candidateAt = (promptTokens: number, position: number, recent: number) =>
  Math.max(0, position - promptTokens + recent + 1)
