/** Every kv head of every layer as a small picture: position across, steps down. Choosing one changes everything else. */
import { plainNumber } from '../../figures/scale.js'
import type { Fill } from '../../figures/style.js'
import { moved } from '../keys.js'
import { NOT_YET } from '../small.js'
import { element, Surface } from './dom.js'
import type { View } from './view.js'

const LEAST = 26
const MOST = 64
const GAP = 3
const TOP = 13
const LEFT = 22
const SHADES = [0, 0.25, 0.5, 0.75, 1] as const

export class Grid {
  readonly surface = new Surface('zsx-grid')
  /** What the shades of a measure mean. */
  readonly key = element('p', { class: 'zsx-muted zsx-grid-key', hidden: true })
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
      const { measure } = view.selected.now
      view.card.show(
        [
          `layer ${head.layer}, kv head ${head.kvHead}`,
          measure
            ? view.measured!.sentence(measure, head.layer, head.kvHead)
            : 'position across, steps down: the darker, the more tokens have their own slots',
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
    const { layer, kvHead, position, measure } = view.selected.now
    const room = Math.max(LEAST, width - LEFT)
    const wide = Math.min(MOST, Math.max(LEAST, Math.floor(room / layers)))
    const across = Math.max(1, Math.min(layers, Math.floor(room / wide)))
    const high = Math.max(18, Math.round(wide * 0.72))
    this.cell = { width: wide, height: high, across }
    const bands = Math.ceil(layers / across)
    const context = this.surface.begin(width, bands * (TOP + kvHeads * high))
    const pictures = measure ? undefined : this.drawnPictures()
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
        if (pictures) {
          context.globalAlpha = view.heads.has(view.index, at, head) || view.heads.at(view.index, at, head) ? 1 : 0.45
          const { rows, columns } = run.small
          context.drawImage(pictures, 0, (at * kvHeads + head) * rows, columns, rows, x, y, w, h)
          context.globalAlpha = 1
          context.fillStyle = view.paint.of('dropped')
          context.fillRect(x, y + cursor - 0.5, w, 1)
          if (column >= 0) context.fillRect(x + column, y, 1, h)
        } else this.stripes(context, measure, { layer: at, kvHead: head }, { x, y, w, h })
        const isChosen = at === layer && head === kvHead
        context.strokeStyle = view.paint.of(isChosen ? 'ink' : 'faint')
        context.lineWidth = isChosen ? 2 : 1
        context.strokeRect(x - 0.5, y - 0.5, w + 1, h + 1)
      }
    }
    const said = measure ? ` ${view.measured!.sentence(measure, layer, kvHead)}.` : ''
    this.surface.canvas.setAttribute(
      'aria-label',
      `${plainNumber(layers)} layers × ${plainNumber(kvHeads)} kv heads; layer ${layer}, kv head ${kvHead} is chosen.${said} ← → change the layer, ↑ ↓ the head.`,
    )
    this.key.hidden = !measure
    if (measure) {
      const [low, high] = view.measured!.scaleWords(measure)
      const stops = SHADES.map((share) => view.paint.of(`shade:${share}`)).join(', ')
      const bar = element('i', { class: 'zsx-shades', style: `background:linear-gradient(to right, ${stops})` })
      this.key.replaceChildren(low, bar, high)
    }
  }

  /** A head by a measure: its query heads side by side, those that were not measured crossed out. */
  private stripes(
    context: CanvasRenderingContext2D,
    measure: string,
    { layer, kvHead }: { layer: number; kvHead: number },
    { x, y, w, h }: { x: number; y: number; w: number; h: number },
  ): void {
    const { measured, paint } = this.view
    const { values, scale } = measured!.of(measure)!
    const wide = w / measured!.group
    measured!.groupAt(layer, kvHead).forEach((at, i) => {
      const value = values[at]
      context.fillStyle = paint.of(Number.isNaN(value) ? 'paper' : (`shade:${scale.at(value).toFixed(2)}` as Fill))
      context.fillRect(x + i * wide, y, wide, h)
      if (!Number.isNaN(value)) return
      context.strokeStyle = paint.of('faint')
      context.lineWidth = 1
      context.beginPath()
      context.moveTo(x + i * wide, y + h)
      context.lineTo(x + (i + 1) * wide, y)
      context.stroke()
    })
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
