/** A long figure as a person looks into it in JupyterLab: buttons, keys, wheel and drag, down to single tokens; and once the kernel is gone. */
import assert from 'node:assert/strict'
import { toyPath } from '../src/model/files.js'
import { type Lab, notebookOf } from './lab.js'
import { Person, until, WAIT_MS } from './person.js'

/** 1,448 tokens of which a head keeps 400. */
const SOURCE = `import { figures, load, zsmerge } from 'zslab'
const model = await load(${JSON.stringify(toyPath)}, { progress: false })
const session = model.session({ policy: zsmerge({ budget: 400, recent: 100, residual: 3 }), trace: true })
const text = Array.from({ length: 60 }, (_, i) => 'It was the best of times ' + i + ', ').join('')
const run = await session.generate(text, { maxTokens: 401, ignoreEos: true, progress: false })
figures.evictionMap(run, { layer: 0 })`

export const zoomFiles = (): Record<string, string> => ({
  'zoom.ipynb': notebookOf([{ id: 'zoom', source: SOURCE }]),
})

export function zoomTests(started: () => Lab): void {
  it('looks into a long figure by button, key, wheel and drag, and says so when its kernel is gone', async () => {
    const page = await started().open('zoom.ipynb')
    const person = new Person(page)
    await person.idle()
    await person.run(0)
    const figure = person.cell(0).locator('.zslab-plotly')
    const zoom = figure.locator('.zslab-zoom')
    await zoom.waitFor({ timeout: WAIT_MS })
    const status = () => zoom.locator('[role="status"]').innerText()
    const says = (words: RegExp) => until(async () => words.test(await status()), `the figure never says ${words}`)
    const button = (name: string) => zoom.getByRole('button', { name })
    /** What stands at the first panel's lower axis. */
    const numbers = async () =>
      (await figure.locator('.xtick text').allTextContents()).map((text) => Number(text.replaceAll(',', '')))
    await says(/^positions 0 to 1,\d+, all; steps 0 to 400, all$/)
    const last = Number(/to ([\d,]+), all/.exec(await status())![1].replaceAll(',', ''))
    await button('zoom in').click()
    await says(/^positions (\d+) to [\d,]+; steps 101 to 300$/)
    await until(async () => {
      const shown = await numbers()
      return shown.length > 1 && Math.min(...shown) >= last / 4 - 1 && Math.max(...shown) <= (3 * last) / 4 + 1
    }, 'the picture is not of the part that was asked for')
    await button('higher positions').click()
    await says(/^positions \d+ to [\d,]+; steps 101 to 300$/)
    // Several keys at once: the last of them is what counts.
    await figure.locator('.nsewdrag').first().click()
    for (const key of ['ArrowDown', '+', '+', '+', '+', '+', '+']) await page.keyboard.press(key)
    await until(async () => {
      const [, from, to] =
        /^positions ([\d,]+) to ([\d,]+);/.exec(await status())?.map((text) => Number(text.replaceAll(',', ''))) ?? []
      return to - from < 20
    }, 'keys do not lead to single tokens')
    await figure.hover()
    await page.mouse.wheel(0, -100)
    await page.keyboard.press('Home')
    await says(/, all; .*, all$/)
    const area = (await figure.locator('.nsewdrag').first().boundingBox())!
    await page.mouse.move(area.x + area.width / 4, area.y + area.height / 4)
    await page.mouse.wheel(0, -400)
    await says(/^positions \d+ to \d+; steps \d+ to \d+$/)
    await button('show all of it').click()
    await says(/, all; .*, all$/)
    await page.mouse.move(area.x + 20, area.y + 20)
    await page.mouse.down()
    await page.mouse.move(area.x + 120, area.y + 90, { steps: 4 })
    await page.mouse.up()
    await says(/^positions \d+ to \d+; steps \d+ to \d+$/)
    await page.keyboard.press('Control+s')
    await until(() => started().saved('zoom.ipynb').cells[0].outputs.length > 0, 'Ctrl+S in a figure saves nothing')
    const saved = started().saved('zoom.ipynb').cells[0].outputs[0].data!
    const { meta } = (
      saved['application/vnd.plotly.v1+json'] as { layout: { meta: { zoom: Record<string, unknown> } } }
    ).layout
    assert.deepEqual(meta.zoom.part, meta.zoom.whole, 'the notebook keeps a part, not the figure')
    await person.press('restart')
    await person.accept()
    await says(/^This picture stands still: no kernel has/)
  })
}
