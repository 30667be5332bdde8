/**
 * One plotly figure in a notebook's output: drawn once it is seen, as wide as its place, in the lab's colours where it has none. Long figures of
 * zslab can be zoomed into where their kernel is there (zoom.js, built from src/figures/page).
 */
import { Widget } from '@lumino/widgets'
import { kernelOf } from './kernel.js'
import { themed } from './theme.js'

/** A theme's style sheet may take effect after its name. */
const SETTLE_MS = 500

let loading

/** plotly.js, once for all figures; a failed attempt (the server was away) is not the last one. */
function plotly() {
  loading ??= import('plotly.js-dist-min').then(
    (module) => module.default ?? module,
    (error) => {
      loading = undefined
      throw error
    },
  )
  return loading
}

export class PlotlyWidget extends Widget {
  constructor({ mimeType }) {
    super()
    this.mimeType = mimeType
    this.node.dataset.mimeType = mimeType
    this.node.classList.add('zslab-plotly')
    this.node.style.overflowX = 'auto'
    this.place = document.createElement('div')
    this.node.appendChild(this.place)
    this.figure = undefined
    this.zooming = undefined
    this.drawn = false
    this.work = Promise.resolve()
    this.resized = new ResizeObserver(() => this.fit())
    this.resized.observe(this.node)
    this.recoloured = new MutationObserver(() => {
      void this.draw()
      setTimeout(() => this.isDisposed || this.draw(), SETTLE_MS)
    })
    this.recoloured.observe(document.body, { attributes: true, attributeFilter: ['data-jp-theme-name'] })
  }

  /** Called by the lab with the output, and again whenever it is updated. */
  renderModel(model) {
    const figure = model.data[this.mimeType]
    if (typeof figure !== 'object' || figure === null || !Array.isArray(figure.data ?? [])) {
      this.figure = undefined
      this.work = this.work.then(() =>
        this.say('This output is not a plotly figure: expected an object with data and layout.'),
      )
      return this.work
    }
    this.figure = figure
    this.zooming?.dispose()
    this.zooming = undefined
    return this.draw()
  }

  onAfterShow() {
    this.fit()
  }

  onResize() {
    this.fit()
  }

  dispose() {
    if (this.isDisposed) return
    this.resized.disconnect()
    this.recoloured.disconnect()
    this.zooming?.dispose()
    void this.work.then(() => this.clear())
    super.dispose()
  }

  /** Draws the figure after whatever is being drawn. */
  draw() {
    this.work = this.work.then(async () => {
      try {
        await this.drawNow()
      } catch (error) {
        this.say(`The figure could not be drawn: ${error.message}. Reload the page to try again.`)
      }
    })
    return this.work
  }

  async drawNow() {
    if (!this.figure || this.isDisposed) return
    const Plotly = await plotly()
    this.purge = Plotly.purge
    // Hidden tabs have no width: fit() comes back when there is one.
    if (this.isDisposed || this.node.clientWidth === 0) return
    if (!this.drawn) this.place.replaceChildren()
    // A copy: plotly.js writes into what it draws, and the original is what the notebook saves.
    const { data = [], layout = {}, config = {}, frames } = structuredClone(this.figure)
    const sized = layout.width === undefined ? { ...layout, autosize: true } : layout
    // A figure may name the width that its words need: narrower places scroll.
    this.place.style.minWidth = Number(layout.meta?.minWidth) > 0 ? `${Number(layout.meta.minWidth)}px` : ''
    await Plotly.react(this.place, {
      data,
      layout: themed(sized, this.node),
      config: { displaylogo: false, ...config, responsive: false },
      ...(frames ? { frames } : {}),
    })
    if (!this.drawn) this.place.on('plotly_relayout', (moves) => this.zooming?.dragged(moves))
    this.drawn = true
    this.width = this.place.clientWidth
    if (this.figure.layout?.meta?.zoom && !this.zooming) await this.zoom()
  }

  /** Buttons below the figure; what they lead to is shown, and the whole figure stays what the notebook saves. */
  async zoom() {
    const { Zooming } = await import('./zoom.js')
    if (this.isDisposed || this.zooming) return
    this.zooming = new Zooming(
      this.place,
      this.figure,
      () => kernelOf(this),
      (figure) => {
        this.figure = figure
        return this.draw()
      },
    )
    this.node.appendChild(this.zooming.node)
  }

  /** Follows the width of its place. */
  fit() {
    const width = this.place.clientWidth
    if (!this.figure || width === 0) return
    if (!this.drawn) void this.draw()
    else if (width !== this.width && this.figure.layout?.width === undefined) {
      this.width = width
      this.work = this.work.then(async () => {
        if (!this.isDisposed && this.drawn) await (await plotly()).Plots.resize(this.place)
      })
    }
  }

  clear() {
    if (this.drawn) this.purge(this.place)
    this.drawn = false
  }

  say(sentence) {
    this.clear()
    const line = document.createElement('div')
    line.textContent = sentence
    line.setAttribute('role', 'alert')
    this.place.replaceChildren(line)
  }
}
