/** The whole text as one bar: a column for some tokens, a bracket under those that are spelt out, marks for the newest and the selected. */
import { TOKEN } from '../story.js'
import { plainNumber } from '../../figures/scale.js'
import { Surface } from './dom.js'
import type { Chosen, View } from './view.js'

const BAR = 22
const HEIGHT = 34

export class Overview {
  readonly surface = new Surface('zsx-overview')

  constructor(private readonly view: View) {
    const { canvas } = this.surface
    canvas.setAttribute('role', 'img')
    const position = (event: MouseEvent) => {
      const { count } = view.open.run.tokens
      return Math.min(count - 1, Math.max(0, Math.floor((this.surface.place(event).x / this.surface.width) * count)))
    }
    const go = (event: MouseEvent) => view.selected.change({ around: position(event) })
    canvas.addEventListener('mousedown', go)
    canvas.addEventListener('mousemove', (event) => {
      if (event.buttons & 1) go(event)
      view.card.show([`position ${plainNumber(position(event))}`, 'click: spell out the text there'], event)
    })
    canvas.addEventListener('mouseleave', () => view.card.hide())
  }

  draw(chosen: Chosen, width: number, page: [from: number, to: number]): void {
    const { view } = this
    const { count } = view.open.run.tokens
    const { mode, position } = view.selected.now
    const context = this.surface.begin(width, HEIGHT)
    const now = chosen.story.at(chosen.step)
    context.fillStyle = view.paint.of('faint')
    context.fillRect(0, BAR - 1, ((now.newest + 1) / count) * width, 1)
    // One token of a column is shown: one that is there rather than one that is gone.
    const columns = Math.min(count, Math.ceil(width))
    let last = ''
    for (let column = 0; column < columns; column++) {
      const from = Math.floor((column * count) / columns)
      const to = Math.floor(((column + 1) * count) / columns)
      let shown = -1
      for (let at = from; at < to && at <= now.newest; at++) {
        if (
          shown < 0 ||
          now.state[shown] === TOKEN.dropped ||
          (now.state[shown] === TOKEN.merged && now.state[at] === TOKEN.alone)
        )
          shown = at
        if (now.state[shown] === TOKEN.alone) break
      }
      if (shown < 0) continue
      const fill = chosen.looks.at(now, shown, mode)
      if (fill === 'paper' || now.state[shown] === TOKEN.dropped) continue
      const color = view.paint.of(fill)
      if (color !== last) context.fillStyle = last = color
      context.fillRect((column * width) / columns, 0, Math.max(1, width / columns), BAR)
    }
    const x = (at: number) => (at / count) * width
    context.fillStyle = view.paint.of('ink')
    context.fillRect(x(page[0]), BAR + 3, Math.max(3, x(page[1]) - x(page[0])), 3)
    mark(context, x(now.newest + 0.5), view.paint.of('recent'))
    if (position >= 0) mark(context, x(position + 0.5), view.paint.of('dropped'))
    this.surface.canvas.setAttribute(
      'aria-label',
      `All ${plainNumber(count)} tokens in a bar; ${plainNumber(page[0])} to ${plainNumber(page[1] - 1)} are spelt out below.`,
    )
  }
}

/** A small triangle under the bar. */
function mark(context: CanvasRenderingContext2D, x: number, color: string): void {
  context.fillStyle = color
  context.beginPath()
  context.moveTo(x, BAR + 2)
  context.lineTo(x - 4, HEIGHT)
  context.lineTo(x + 4, HEIGHT)
  context.fill()
}
