/** The kernel of the notebook that an output is in. */

/** undefined: none runs. Looked up when asked for: it may have been restarted. */
export function kernelOf(output) {
  for (let widget = output.parent; widget; widget = widget.parent) {
    const session = widget.sessionContext?.session
    if (session) return session.kernel ?? undefined
  }
  return undefined
}
