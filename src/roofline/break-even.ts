/** From which context on something holds that, but for ripples where chunks fill up, goes on holding once it does. */

/** Contexts that are looked at. */
export const MOST_CONTEXT = 2 ** 24
/** Chunks and rounded counts of slots move a limit by a few tokens at most. */
const RIPPLE = 256

/** The least context from which on `holds` does: not for the one before, and for those after it. null: at no context up to 2²⁴. */
export function holdsFrom(holds: (context: number) => boolean): number | null {
  if (!holds(MOST_CONTEXT)) return null
  let [below, above] = [0, MOST_CONTEXT]
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2)
    if (holds(middle)) above = middle
    else below = middle
  }
  for (let context = above + 1; context <= Math.min(above + RIPPLE, MOST_CONTEXT); context++)
    if (!holds(context)) above = context + 1
  return above
}
