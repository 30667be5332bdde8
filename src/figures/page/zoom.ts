/** Zooming into a long figure: buttons, keys, wheel and drags say which part is wanted, and the kernel draws it. One question at a time. */
import { keysOf } from '../../comm/page/keys.js'
import { Link, type Kernel, type Words } from '../../comm/page/link.js'
import type { Counted, Part } from '../part.js'
import { Tiles, zoomOf } from './tiles.js'
import { draggedTo, moved, partWords, zoomed } from './wanted.js'

const STILL = 'This picture stands still: no kernel has what it is drawn from. Run the cell again to zoom into it.'
const WORDS: Words = {
  notThere: STILL,
  gone: (reason) => `This picture stands still: ${reason}.`,
  late: 'The kernel does not answer: it may be busy; try again when it is idle.',
}
const STEP = 0.5
/** Of the wheel: a notch is about 100 pixels. */
const PER_PIXEL = 1.002
const HINT =
  'Zoom: + and −, or the wheel over the picture once it is clicked (or with Ctrl). Move: arrow keys, or drag with Shift. Drag a frame to look into it. Home or a double click: all of it.'

export class Zooming {
  readonly node = document.createElement('div')
  private readonly status = document.createElement('span')
  private readonly link: Link
  private readonly tiles: Tiles

  /** `place` holds the plot; `show` draws another figure there. */
  constructor(
    private readonly place: HTMLElement,
    figure: unknown,
    kernel: () => Kernel | undefined,
    show: (figure: unknown) => Promise<unknown>,
  ) {
    this.link = new Link(zoomOf(figure)!.id, kernel, WORDS)
    this.tiles = new Tiles(figure, (part) => this.link.ask({ part }), {
      show,
      busy: (is) => void (is ? this.node.setAttribute('aria-busy', 'true') : this.node.removeAttribute('aria-busy')),
      say: (sentence) => this.say(sentence),
    })
    this.link.onGone = (why) => this.say(why)
    this.build()
    if (this.link.follow()) this.say(partWords(this.tiles.zoom.whole, this.tiles.zoom.part))
    else this.say(STILL)
  }

  /** Plotly.js moved its axes. */
  dragged(moves: Record<string, unknown>): void {
    const next = draggedTo({ ...this.tiles.zoom, part: this.tiles.wanted }, moves)
    if (next) this.tiles.go(next, true)
  }

  private build(): void {
    const { node, status } = this
    const { whole, axes } = this.tiles.zoom
    node.className = 'zslab-zoom'
    node.setAttribute('role', 'group')
    node.setAttribute('aria-label', 'Part of the figure that is shown')
    Object.assign(node.style, { display: 'flex', flexWrap: 'wrap', gap: '4px', alignItems: 'center', padding: '4px 0' })
    const named = (letter: string) => [
      ...new Set(Object.entries(axes).flatMap(([axis, name]) => (axis.startsWith(letter) ? [name] : []))),
    ]
    // Strips that are spelt out altogether have no axis.
    const down = named('y')
    const across = (Object.keys(whole) as Counted[]).filter((name) => !down.includes(name))
    const button = (text: string, label: string, part: () => Part) => {
      const made = document.createElement('button')
      made.type = 'button'
      made.textContent = text
      made.title = `${label} – ${HINT}`
      made.setAttribute('aria-label', label)
      made.style.minWidth = '2em'
      made.addEventListener('click', () => this.tiles.go(part()))
      return made
    }
    const move = (by: number, names: readonly Counted[]) => () => moved(whole, this.tiles.wanted, by, names)
    const words = (names: readonly Counted[], which: string) =>
      `${which} ${names.map((name) => `${name}s`).join(' and ')}`
    const keys: Record<string, () => Part> = {
      '+': () => zoomed(whole, this.tiles.wanted, STEP),
      '-': () => zoomed(whole, this.tiles.wanted, 1 / STEP),
      ArrowLeft: move(-STEP, across),
      ArrowRight: move(STEP, across),
      Home: () => whole,
    }
    if (down.length) Object.assign(keys, { ArrowUp: move(-STEP, down), ArrowDown: move(STEP, down) })
    node.append(
      button('+', 'zoom in', keys['+']),
      button('−', 'zoom out', keys['-']),
      button('←', words(across, 'lower'), keys.ArrowLeft),
      button('→', words(across, 'higher'), keys.ArrowRight),
      ...(down.length ? [button('↑', words(down, 'lower'), keys.ArrowUp)] : []),
      ...(down.length ? [button('↓', words(down, 'higher'), keys.ArrowDown)] : []),
      button('all', 'show all of it', keys.Home),
      status,
    )
    status.setAttribute('role', 'status')
    status.style.flex = '1 1 12em'
    const { place } = this
    place.tabIndex = 0
    place.setAttribute('role', 'group')
    place.setAttribute('aria-label', 'Figure: + and − zoom, arrow keys move, Home shows all of it')
    const onKey = (event: KeyboardEvent) => {
      const find = keys[event.key === '=' ? '+' : event.key === '0' ? 'Home' : event.key]
      if (!find || event.ctrlKey || event.metaKey || event.altKey) return
      event.preventDefault()
      event.stopPropagation()
      this.tiles.go(find())
    }
    for (const element of [place, node]) {
      element.addEventListener('keydown', onKey)
      keysOf(element)
    }
    place.addEventListener('wheel', this.onWheel, { passive: false })
    // Plotly.js keeps the focus from what is clicked in it.
    place.addEventListener('mousedown', () => place.focus({ preventScroll: true }), true)
  }

  /** The page scrolls unless somebody works with this figure. */
  private readonly onWheel = (event: WheelEvent) => {
    const works = event.ctrlKey || event.metaKey || this.place.contains(document.activeElement)
    const panel = (event.target as Element).closest('.draglayer > g')
    if (!works || !panel) return
    const at = this.placeIn(panel, event)
    if (!Object.keys(at).length) return
    event.preventDefault()
    event.stopPropagation()
    this.tiles.go(zoomed(this.tiles.zoom.whole, this.tiles.wanted, PER_PIXEL ** event.deltaY, at))
  }

  /** What the pointer is over, by what the axes of the panel count. */
  private placeIn(panel: Element, { clientX, clientY }: MouseEvent): Partial<Record<Counted, number>> {
    const [, x, y] = /^x(\d*)y(\d*)$/.exec(panel.classList[0]) ?? []
    const box = panel.querySelector('.nsewdrag')?.getBoundingClientRect()
    if (x === undefined || !box) return {}
    const at: Partial<Record<Counted, number>> = {}
    for (const [axis, share] of [
      [`xaxis${x}`, (clientX - box.left) / box.width],
      [`yaxis${y}`, (box.bottom - clientY) / box.height],
    ] as const) {
      const { [axis]: name } = this.tiles.zoom.axes
      if (!name) continue
      const [from, to] = this.tiles.wanted[name]!
      // Steps go down.
      at[name] = from + (axis.startsWith('y') ? 1 - share : share) * (to - from)
    }
    return at
  }

  private say(sentence: string): void {
    if (this.status.textContent !== sentence) this.status.textContent = sentence
  }

  dispose(): void {
    this.tiles.end()
    this.link.dispose()
    this.place.removeEventListener('wheel', this.onWheel)
    this.node.remove()
  }
}
