/** Keys inside an output that has keys of its own: the rest of the lab's commands must work there as well. */

/**
 * Keeps the lab's one-letter commands out of `node`, whose own keys they would be; chords with Ctrl or ⌘ that `node` has no use for (saving,
 * running the cell) go on to the lab from the element around it.
 */
export function keysOf(node: HTMLElement): void {
  node.setAttribute('data-lm-suppress-shortcuts', 'true')
  node.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || !(event.ctrlKey || event.metaKey) || event.key === 'Control' || event.key === 'Meta')
      return
    const { key, code, keyCode, ctrlKey, metaKey, shiftKey, altKey } = event
    const again = new KeyboardEvent('keydown', {
      ...{ key, code, keyCode, ctrlKey, metaKey, shiftKey, altKey },
      bubbles: true,
      cancelable: true,
    })
    event.stopPropagation()
    // The lab took it: the browser's own meaning of it (save the page) is off.
    if (node.parentElement && !node.parentElement.dispatchEvent(again)) event.preventDefault()
  })
}
