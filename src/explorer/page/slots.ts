/** The chosen head's cache as it lies in memory: a square for each slot, residual slots first. */
import { plainNumber } from '../../figures/scale.js'
import { moved } from '../keys.js'
import { hue } from '../look.js'
import { tokenLines } from '../words.js'
import { Surface } from './dom.js'
import type { Chosen, View } from './view.js'

const LARGEST = 18
const SMALLEST = 3
/** Of a picture whose slots are neither smallest nor largest, pixels². */
const AREA = 150

export class Slots {
  readonly surface = new Surface('zsx-slots')
  private chosen: Chosen | undefined
  private size = LARGEST
  private across = 1
  /** By the keyboard. */
  private at = 0

  constructor(private readonly view: View) {
    const { canvas } = this.surface
    canvas.tabIndex = 0
    canvas.setAttribute('role', 'application')
    const slotAt = (event: MouseEvent) => {
      if (!this.chosen) return undefined
      const { x, y } = this.surface.place(event)
      const [column, row] = [Math.floor(x / this.size), Math.floor(y / this.size)]
      const slot = row * this.across + column
      return column < this.across && slot < this.chosen.story.at(this.chosen.step).slots ? slot : undefined
    }
    canvas.addEventListener('mousemove', (event) => {
      const slot = slotAt(event)
      if (slot === undefined) return view.card.hide()
      view.card.show(this.linesOf(slot), event)
    })
    canvas.addEventListener('mouseleave', () => view.card.hide())
    canvas.addEventListener('click', (event) => {
      const slot = slotAt(event)
      if (slot !== undefined) this.choose(slot)
    })
    canvas.addEventListener('keydown', (event) => {
      if (!this.chosen) return
      const { slots } = this.chosen.story.at(this.chosen.step)
      const to = moved(event, this.at, slots - 1, this.across)
      if (to === undefined && event.key !== 'Enter' && event.key !== ' ') return
      event.preventDefault()
      event.stopPropagation()
      this.at = to ?? this.at
      this.choose(this.at)
    })
  }

  private choose(slot: number): void {
    if (!this.chosen) return
    this.at = slot
    const now = this.chosen.story.at(this.chosen.step)
    const position = now.first[slot]
    this.view.selected.change({
      slot: { run: this.view.index, slot },
      position,
      around: now.members[slot] > 1 ? this.view.selected.now.around : position,
    })
  }

  private linesOf(slot: number): string[] {
    const { open } = this.view
    const { story, step, looks } = this.chosen!
    const now = story.at(step)
    const members = now.members[slot]
    if (members > 1)
      return [`slot ${plainNumber(slot)} stands for ${plainNumber(members)} tokens`, 'click: who is in it']
    const lines = tokenLines(story, step, now.first[slot], open.text, open.run.tokens.read, looks.sizes)
    return [`slot ${plainNumber(slot)}: ${lines[0]}`, ...lines.slice(1)]
  }

  draw(chosen: Chosen, width: number): void {
    this.chosen = chosen
    const { view } = this
    const { mode, position, slot: picked } = view.selected.now
    const now = chosen.story.at(chosen.step)
    // Of one size for the whole run, so that nothing moves while steps go by.
    const most = Math.max(now.slots, chosen.looks.sizes.budget, 1)
    this.size = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(Math.sqrt((width * AREA) / most))))
    this.across = Math.max(1, Math.floor(width / this.size))
    const context = this.surface.begin(width, Math.max(1, Math.ceil(most / this.across)) * this.size + 2)
    const inner = this.size - (this.size > 6 ? 2 : 1)
    const place = (slot: number) => [
      (slot % this.across) * this.size + 1,
      Math.floor(slot / this.across) * this.size + 1,
    ]
    let last = ''
    for (let slot = 0; slot < now.slots; slot++) {
      const fill = now.members[slot] > 1 ? hue(slot) : chosen.looks.at(now, now.first[slot], mode)
      const color = view.paint.of(fill)
      if (color !== last) context.fillStyle = last = color
      const [x, y] = place(slot)
      context.fillRect(x, y, inner, inner)
      // Also where colours are not seen: a merged slot has a hole.
      if (now.members[slot] > 1 && inner >= 6) context.clearRect(x + inner / 2 - 1.5, y + inner / 2 - 1.5, 3, 3)
      // A pinned token has a corner.
      if (now.members[slot] !== 1 || !chosen.story.isPinned(now.first[slot], chosen.step)) continue
      context.fillStyle = last = view.paint.of(`on:${fill}`)
      const corner = Math.max(2, inner * 0.55)
      context.beginPath()
      context.moveTo(x + inner - corner, y)
      context.lineTo(x + inner, y)
      context.lineTo(x + inner, y + corner)
      context.fill()
    }
    const selected = picked?.run === view.index ? picked.slot : position >= 0 ? now.slot[position] : -1
    if (selected >= 0 && selected < now.slots) {
      const [x, y] = place(selected)
      context.strokeStyle = view.paint.of('dropped')
      context.lineWidth = 2
      context.strokeRect(x - 0.5, y - 0.5, inner + 1, inner + 1)
    }
    this.surface.canvas.setAttribute(
      'aria-label',
      `${plainNumber(now.slots)} slots of the cache, ${plainNumber(now.merged)} of them merged${selected >= 0 ? `; slot ${selected} is selected` : ''}. Arrows choose a slot.`,
    )
  }
}
