/** Every kv head of every layer as a small picture: position across, steps down. Choosing one changes everything else. */
import { plainNumber } from '../../figures/scale.js'
import { moved } from '../keys.js'
import { NOT_YET } from '../small.js'
import { Surface } from './dom.js'
import type { View } from './view.js'

const LEAST = 26
const MOST = 64
const GAP = 3
const TOP = 13
const LEFT = 22

export class Grid {
  readonly surface = new Surface('zsx-grid')
  private pictures: HTMLCanvasElement | undefined
  private drawn = ''
  private small: Uint8Array | undefined
  private cell = { width: MOST, height: MOST, across: 1 }

  constructor(private readonly view: View) {
    const { canvas } = this.surface
    const { layers, kvHeads } = view.open.run
    canvas.tabIndex = 0
    canvas.setAttribute('role', 'application')
    canvas.addEventListener('mousemove', (event) => {
      const head = this.headAt(event)
      if (!head) return view.card.hide()
      const there = view.heads.has(view.index, head.layer, head.kvHead)
      view.card.show(
        [
          `layer ${head.layer}, kv head ${head.kvHead}`,
          'position across, steps down: the darker, the more tokens have their own slots',
          there ? 'click: show it' : 'not in the saved output; a kernel that has the run is asked',
        ],
        event,
      )
    })
    canvas.addEventListener('mouseleave', () => view.card.hide())
    canvas.addEventListener('click', (event) => {
      const head = this.headAt(event)
      if (head) view.selected.change(head)
    })
    canvas.addEventListener('keydown', (event) => {
      const { layer, kvHead } = view.selected.now
      const vertical = event.key === 'ArrowUp' || event.key === 'ArrowDown'
      const to = vertical
        ? moved({ ...plainKey(event), key: event.key === 'ArrowUp' ? 'ArrowLeft' : 'ArrowRight' }, kvHead, kvHeads - 1)
        : moved(event, layer, layers - 1)
      if (to === undefined) return
      event.preventDefault()
      event.stopPropagation()
      view.selected.change(vertical ? { kvHead: to } : { layer: to })
    })
  }

  private headAt(event: MouseEvent): { layer: number; kvHead: number } | undefined {
    const { x, y } = this.surface.place(event)
    const { layers, kvHeads } = this.view.open.run
    const { width, height, across } = this.cell
    const column = Math.floor((x - LEFT) / width)
    const band = Math.floor(y / (TOP + kvHeads * height))
    const kvHead = Math.floor((y - band * (TOP + kvHeads * height) - TOP) / height)
    const layer = band * across + column
    return column >= 0 && column < across && kvHead >= 0 && layer < layers ? { layer, kvHead } : undefined
  }

  draw(step: number, width: number): void {
    const { view } = this
    const { run } = view.open
    const { layers, kvHeads, lastStep } = run
    const { layer, kvHead, position } = view.selected.now
    const room = Math.max(LEAST, width - LEFT)
    const wide = Math.min(MOST, Math.max(LEAST, Math.floor(room / layers)))
    const across = Math.max(1, Math.min(layers, Math.floor(room / wide)))
    const high = Math.max(18, Math.round(wide * 0.72))
    this.cell = { width: wide, height: high, across }
    const bands = Math.ceil(layers / across)
    const context = this.surface.begin(width, bands * (TOP + kvHeads * high))
    const pictures = this.drawnPictures()
    context.imageSmoothingEnabled = false
    context.font = '9px sans-serif'
    const [w, h] = [wide - GAP, high - GAP]
    const muted = view.paint.of('muted')
    const cursor = ((Math.min(step, lastStep) + 0.5) / (lastStep + 1)) * h
    const column = position >= 0 ? ((position + 0.5) / run.tokens.count) * w : -1
    for (let at = 0; at < layers; at++) {
      const [x, top] = [LEFT + (at % across) * wide, Math.floor(at / across) * (TOP + kvHeads * high)]
      context.fillStyle = muted
      if (at % across === 0) {
        for (let head = 0; head < kvHeads; head++)
          context.fillText(`h${head}`, 2, top + TOP + head * high + high / 2 + 2)
      }
      if (wide >= 34 || at % 2 === 0) context.fillText(String(at), x + 1, top + TOP - 3)
      for (let head = 0; head < kvHeads; head++) {
        const y = top + TOP + head * high
        context.globalAlpha = view.heads.has(view.index, at, head) || view.heads.at(view.index, at, head) ? 1 : 0.45
        context.drawImage(
          pictures,
          0,
          (at * kvHeads + head) * run.small.rows,
          run.small.columns,
          run.small.rows,
          x,
          y,
          w,
          h,
        )
        context.globalAlpha = 1
        context.fillStyle = view.paint.of('dropped')
        context.fillRect(x, y + cursor - 0.5, w, 1)
        if (column >= 0) context.fillRect(x + column, y, 1, h)
        const isChosen = at === layer && head === kvHead
        context.strokeStyle = view.paint.of(isChosen ? 'ink' : 'faint')
        context.lineWidth = isChosen ? 2 : 1
        context.strokeRect(x - 0.5, y - 0.5, w + 1, h + 1)
      }
    }
    this.surface.canvas.setAttribute(
      'aria-label',
      `${plainNumber(layers)} layers × ${plainNumber(kvHeads)} kv heads; layer ${layer}, kv head ${kvHead} is chosen. ← → change the layer, ↑ ↓ the head.`,
    )
  }

  /** All pictures one below the other, a pixel for each value. */
  private drawnPictures(): HTMLCanvasElement {
    const { paint, open } = this.view
    if (this.pictures && this.drawn === paint.theme && this.small === open.small) return this.pictures
    this.small = open.small
    const { columns } = open.run.small
    const made = document.createElement('canvas')
    made.width = columns
    made.height = open.small.length / columns
    const context = made.getContext('2d')!
    const image = context.createImageData(columns, made.height)
    const shades = Array.from({ length: NOT_YET }, (_, value) => paint.of(`shade:${value / (NOT_YET - 1)}`))
    open.small.forEach((value, i) => {
      if (value === NOT_YET) return
      const color = parseInt(shades[value].slice(1), 16)
      image.data.set([color >> 16, (color >> 8) & 255, color & 255, 255], 4 * i)
    })
    context.putImageData(image, 0, 0)
    this.drawn = paint.theme
    return (this.pictures = made)
  }
}

const plainKey = ({ shiftKey, ctrlKey, altKey, metaKey }: KeyboardEvent) => ({ shiftKey, ctrlKey, altKey, metaKey })
