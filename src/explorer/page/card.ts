/** The card beside the pointer. Screen readers are told the same by the sentences that a selection changes. */
import { element } from './dom.js'

export class Card {
  readonly node = element('div', { class: 'zsx-card', hidden: true, 'aria-hidden': 'true' })

  constructor(private readonly within: HTMLElement) {}

  show(lines: readonly string[], event: MouseEvent): void {
    this.node.replaceChildren(...lines.map((line, i) => element(i ? 'div' : 'strong', {}, line)))
    this.node.hidden = false
    const box = this.within.getBoundingClientRect()
    const [width, height] = [this.node.offsetWidth, this.node.offsetHeight]
    const x = Math.min(event.clientX - box.left + 12, box.width - width - 4)
    const y = event.clientY - box.top + 16
    // Above the pointer where there is no room below.
    const below = y + height < box.height || y < height + 24
    this.node.style.left = `${Math.max(2, x)}px`
    this.node.style.top = `${below ? y : y - height - 26}px`
  }

  hide(): void {
    this.node.hidden = true
  }
}
