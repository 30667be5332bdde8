/** What fonts are called, the bundled one first; then what may stand in for it where a picture is looked at without it. */

export const SANS = "Inter, Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
export const MONO = "'Noto Sans Mono', 'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, 'Courier New', monospace"
/** Advance of every character of the monospaced font, em; the usual ones have 0.55 to 0.602. */
export const MONO_ADVANCE = 0.6
