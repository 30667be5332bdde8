/**
 * The comm by which pages of a notebook ask its kernel. A page opens it with { id } of what it shows, and is told { ready }; each { ask, … } is
 * answered by { ask, … } or { ask, error }, and what is told unasked has no `ask`. Closed with { reason } by a kernel that has it no longer.
 */
export const PAGE_COMM = 'zslab.page'
