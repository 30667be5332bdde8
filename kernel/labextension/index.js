/**
 * The lab extension's list of MIME renderers. JupyterLab provides @lumino/widgets; plotly.js comes as a chunk of its own, read
 * from the lab's own server when the first figure is drawn. Nothing is fetched from anywhere else.
 */
import { ExplorerWidget } from './explorer.js'
import { PlotlyWidget } from './plotly.js'

const PLOTLY = 'application/vnd.plotly.v1+json'
const EXPLORER = 'application/vnd.zslab.explorer.v1+json'

export default [
  {
    id: 'zslab-jupyterlab:plotly',
    description: 'Draws plotly figures.',
    rendererFactory: {
      // The data cannot run code: plotly.js reduces texts to a few tags. Otherwise saved notebooks, which nobody trusts yet, would show none.
      safe: true,
      mimeTypes: [PLOTLY],
      createRenderer: (options) => new PlotlyWidget(options),
    },
    // Before html (50), svg (80) and png (90), which stand beside it in the same output for those without this extension.
    rank: 0,
    dataType: 'json',
  },
  {
    id: 'zslab-jupyterlab:explorer',
    description: 'Shows what a cache did, step by step.',
    rendererFactory: {
      // All of the data is shown as text and pictures: none becomes markup.
      safe: true,
      mimeTypes: [EXPLORER],
      createRenderer: (options) => new ExplorerWidget(options),
    },
    rank: 0,
    dataType: 'json',
  },
]
