/** JupyterLab in a browser: our kernel runs cells, our extension draws figures, and a saved notebook shows them again. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { evictionMap } from '../../src/figures/index.js'
import { browserFor } from '../left-out.js'
import { runMade } from '../figures/synthetic.js'
import { explorerFiles, explorerTests } from './explorer.js'
import { Lab, makeJupyter, notebookOf } from './lab.js'
import { Person, until, WAIT_MS } from './person.js'
import { zoomFiles, zoomTests } from './zoom.js'

const browser = browserFor('JupyterLab with our kernel and extension (test/lab)')

const figure = evictionMap(runMade({ prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }))
const shown = (figure as unknown as Record<symbol, () => Record<string, unknown>>)[Symbol.for('Jupyter.display')]()
const colourless = { data: [{ type: 'scatter', y: [1, 3, 2] }], layout: { title: { text: 'rising, falling' } } }

const RUN = `console.log('printed ' + 6 * 7)\nconst sum: number = 1 + 2\nsum`
const DRAW = `({ [Symbol.for('Jupyter.display')]: () => ({
  'application/vnd.plotly.v1+json': ${JSON.stringify(colourless)},
  'image/svg+xml': '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
  'text/plain': 'a line that rises and falls' }) })`

const FILES = {
  'work.ipynb': notebookOf([
    { id: 'run', source: RUN },
    { id: 'draw', source: DRAW },
    { id: 'loop', source: 'while (true) {}' },
    { id: 'after', source: 'sum * 2' },
  ]),
  'saved.ipynb': notebookOf([
    { id: 'figure', source: 'figure', outputs: [output(shown)] },
    {
      id: 'wrong',
      source: 'wrong',
      outputs: [output({ 'application/vnd.plotly.v1+json': { data: 3 }, 'text/plain': '?' })],
    },
  ]),
}

function output(data: Record<string, unknown>): unknown {
  return { output_type: 'execute_result', execution_count: 1, data, metadata: {} }
}

if (browser)
  describe('JupyterLab', function () {
    this.timeout(180_000)
    let lab: Lab
    let page: Page
    let person: Person

    before(async () => {
      makeJupyter()
      lab = await Lab.start(browser, { ...FILES, ...(await explorerFiles()), ...zoomFiles() })
    })
    after(() => lab?.stop())

    const cell = (at: number) => person.cell(at)
    const run = (at: number) => person.run(at)
    const textOf = (at: number, which = 0) => person.textOf(at, which)
    const open = async (name: string) => {
      page = await lab.open(name)
      person = new Person(page)
    }

    it('runs a TypeScript cell and shows what it printed and its value', async () => {
      await open('work.ipynb')
      await person.idle()
      await run(0)
      assert.equal(await textOf(0), 'printed 42')
      assert.equal(await textOf(0, 1), '3')
    })

    it('draws a plotly figure with the extension, not the svg beside it', async () => {
      await run(1)
      const place = cell(1).locator('.zslab-plotly[data-mime-type="application/vnd.plotly.v1+json"]')
      await place.locator('.js-plotly-plot .main-svg').first().waitFor({ timeout: WAIT_MS })
      assert.equal(await place.locator('.gtitle').textContent(), 'rising, falling')
      assert.equal(await cell(1).locator('.jp-RenderedSVG').count(), 0)
    })

    it('interrupts an endless loop and goes on with what earlier cells made', async () => {
      await run(2)
      await page.locator('.jp-Notebook-ExecutionIndicator[data-status="busy"]').waitFor({ timeout: WAIT_MS })
      await page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) [data-jp-item-name="interrupt"]').click()
      assert.match(await textOf(2), /interrupt/i)
      await run(3)
      assert.equal(await textOf(3), '6')
    })

    it('saves the figure and shows it again when the notebook is reopened', async () => {
      await page.keyboard.press('Control+s')
      await until(() => lab.saved('work.ipynb').cells[1].outputs.length > 0, 'the notebook is not saved')
      const data = lab.saved('work.ipynb').cells[1].outputs[0].data!
      assert.deepEqual(data['application/vnd.plotly.v1+json'], colourless, 'plotly.js wrote into the saved figure')
      await open('work.ipynb')
      await cell(1).locator('.js-plotly-plot .main-svg').first().waitFor({ timeout: WAIT_MS })
    })

    it('draws the figures of a notebook that nobody trusts yet, and says what it cannot draw', async () => {
      await open('saved.ipynb')
      await cell(0).locator('.js-plotly-plot .main-svg').first().waitFor({ timeout: WAIT_MS })
      const words = await cell(0).locator('.annotation-text').allTextContents()
      assert.ok(words.join(' ').includes('Layer 1, kv head 0'), words.join(' '))
      assert.match(await textOf(1), /not a plotly figure/)
    })

    explorerTests(() => lab)
    zoomTests(() => lab)

    it('follows the width of its place, and the colours of the lab where the figure has none', async () => {
      await open('work.ipynb')
      const plot = cell(1).locator('.js-plotly-plot .main-svg').first()
      await plot.waitFor({ timeout: WAIT_MS })
      const width = async () => (await plot.boundingBox())!.width
      const before = await width()
      await page.setViewportSize({ width: 1000, height: 1000 })
      await until(async () => (await width()) < before - 100, 'the figure keeps its width')
      const looks = async () => (await plot.getAttribute('style')) ?? ''
      assert.match(await looks(), /background: (white|rgb\(255, 255, 255\))/)
      await person.theme('JupyterLab Dark')
      await until(async () => /background: rgb\(17, 17, 17\)/.test(await looks()), 'the figure keeps its colours')
    })

    it('asks nobody but the lab itself for anything', () => {
      assert.deepEqual(lab.strangers, [])
    })
  })
