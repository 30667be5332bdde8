/** What a notebook shows of a study while it runs: one output that changes as trials come, and stays as the last one made it. */
import { host } from '../progress.js'

/** Makes what is shown: anything that shows itself, such as study.summary() or figures.frontier(study). */
export type Watch = () => unknown

/** Of the time at most goes into pictures, a twentieth, and there are no more than ten a second. */
const SHARE = 20
const LEAST_MS = 100
const DISPLAY = Symbol.for('Jupyter.display')
let shown = 0

export interface Live {
  /** Something has come. */
  changed(): void
  /** Shows what it came to. */
  end(): void
}

/** Outside of notebooks, and with `watch` null, it does nothing. Errors: what `watch` throws. */
export function liveOf(watch: Watch | null): Live {
  const notebook = host()
  if (!notebook || !watch) return { changed: () => undefined, end: () => undefined }
  const displayId = `zslab-study-${process.pid}-${++shown}`
  let next = 0
  let begun = false
  const show = () => {
    const started = performance.now()
    const made = watch() as { [DISPLAY]?(): Record<string, unknown> } | undefined
    const bundle = made?.[DISPLAY]?.() ?? { 'text/plain': String(made) }
    if (begun) notebook.update(displayId, bundle)
    else notebook.display(bundle, { displayId })
    begun = true
    const ended = performance.now()
    next = ended + Math.max(LEAST_MS, SHARE * (ended - started))
  }
  return {
    changed: () => {
      if (performance.now() >= next) show()
    },
    end: show,
  }
}
