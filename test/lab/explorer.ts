/** The trace explorer as a person uses it in JupyterLab: by mouse, by keyboard alone, dark, narrow, two runs, with and without a kernel. */
import assert from 'node:assert/strict'
import type { Locator, Page } from 'playwright-core'
import { evictOnly, explore, headImportance, load, zsmerge } from '../../src/index.js'
import { EXPLORER_MIME } from '../../src/explorer/data.js'
import { bundleOf, documentOf } from '../src/explorer/opened.js'
import { toyPath } from '../src/model/files.js'
import { type Lab, notebookOf } from './lab.js'
import { Person, until, WAIT_MS } from './person.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'
/** Steps after the prompt. */
const LAST = 39
const SOURCE = `import { explore, load, zsmerge } from 'zslab'
const model = await load(${JSON.stringify(toyPath)}, { progress: false })
const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
const run = await session.generate(${JSON.stringify(TEXT)}, { maxTokens: ${LAST + 1}, ignoreEos: true, progress: false })
const bundle = explore(run, { layer: 0, kvHead: 0 })[Symbol.for('Jupyter.display')]()
const { heads } = bundle['${EXPLORER_MIME}'].runs[0]
for (const key of Object.keys(heads)) if (key !== '0.0') delete heads[key];
({ [Symbol.for('Jupyter.display')]: () => bundle })`

/** A session that is shown before it has read anything, and then takes 20 ms a token for some seconds. */
const FOLLOWED = `import { explore, load, zsmerge } from 'zslab'
const model = await load(${JSON.stringify(toyPath)}, { progress: false })
const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
explore(session, { layer: 0, kvHead: 0 })`
const SLOWLY = `await session.prefill(${JSON.stringify(TEXT)}, { progress: false })
for (let id = 0; id < 400; id++) {
  await session.step(5 + (id % 50))
  await new Promise((done) => setTimeout(done, 20))
}`

const output = (data: Record<string, unknown>) => ({
  output_type: 'execute_result',
  execution_count: 1,
  data,
  metadata: {},
})

/** The notebooks that the tests open. */
export async function explorerFiles(): Promise<Record<string, string>> {
  const model = await load(toyPath, { weights: 'float32', progress: false })
  const runOf = async (policy: ReturnType<typeof zsmerge>) => {
    const session = model.session({ policy, trace: true })
    return session.generate(TEXT, { maxTokens: LAST + 1, ignoreEos: true, progress: false })
  }
  const merging = await runOf(zsmerge({ budget: 24, recent: 8, residual: 2 }))
  const dropping = await runOf(evictOnly({ budget: 24, recent: 8 }))
  const one = explore(merging, { layer: 0, kvHead: 0 })
  const cut = structuredClone(bundleOf(one))
  const { heads } = documentOf(one).runs[0]
  ;(cut[EXPLORER_MIME] as ReturnType<typeof documentOf>).runs[0].heads = { '0.0': heads['0.0'] }
  const failed = structuredClone(bundleOf(one))
  ;(failed[EXPLORER_MIME] as ReturnType<typeof documentOf>).runs[0].receipt = {
    ok: false,
    notes: ['weights sum to 101, not to the 102 tokens seen: layer 1, kv head 0, step 3'],
  }
  const importance = await headImportance(model, TEXT, { by: ['entropy', 'sinkMass', 'kvzip'], progress: false })
  const measured = explore(merging, { layer: 0, kvHead: 0, importance })
  const two = explore(merging, dropping, { layer: 0, kvHead: 0, labels: ['merging', 'dropping'] })
  const cell = (id: string, data: Record<string, unknown>) => ({ id, source: id, outputs: [output(data)] })
  const wrong = { [EXPLORER_MIME]: { format: 'zslab.explorer', version: 99, runs: [{}] }, 'text/plain': '?' }
  const files = {
    'explorer.ipynb': notebookOf([cell('one', bundleOf(one)), cell('wrong', wrong)]),
    'cut.ipynb': notebookOf([cell('cut', cut)]),
    'measured.ipynb': notebookOf([cell('measured', bundleOf(measured))]),
    'two.ipynb': notebookOf([cell('two', bundleOf(two))]),
    'live.ipynb': notebookOf([{ id: 'live', source: SOURCE }]),
    'follow.ipynb': notebookOf([
      { id: 'follow', source: FOLLOWED },
      { id: 'slowly', source: SLOWLY },
    ]),
    'failed.ipynb': notebookOf([cell('failed', failed)]),
  }
  model.dispose()
  return files
}

export function explorerTests(started: () => Lab): void {
  const does = (what: string, test: () => Promise<void>) => it(`explorer: ${what}`, test)
  let page: Page
  let person: Person
  let explorer: Locator
  const part = (name: string) => explorer.locator(`.zsx-${name}`).first()
  const textOf = (name: string) => part(name).innerText({ timeout: WAIT_MS })
  const says = (name: string, words: RegExp) =>
    until(async () => words.test(await textOf(name)), `.zsx-${name} never says ${words}`)
  const key = (name: string) => page.keyboard.press(name)
  const open = async (name: string) => {
    page = await started().open(name)
    person = new Person(page)
    explorer = person.cell(0).locator('.zslab-explorer .zsx')
    await explorer.waitFor({ timeout: WAIT_MS })
  }
  const token = (position: number) => explorer.locator(`.zsx-token[data-position="${position}"]`).first()
  /** The pixels of a canvas, to tell whether it was drawn anew. */
  const picture = (name: string) =>
    part(name).evaluate((canvas) => (canvas as unknown as { toDataURL(): string }).toDataURL())

  does('is shown from a saved notebook that nobody trusts yet, in place of the picture beside it', async () => {
    await open('explorer.ipynb')
    await says('sentence', /^Step 0 of 39 \(the prompt\): \d+ tokens came, \d+ merged\.$/)
    assert.equal(await person.cell(0).locator('.jp-RenderedSVG').count(), 0)
    assert.match(await textOf('title'), /^zsmerge, 24 slots/)
    await part('receipt').locator('summary').click()
    assert.match(await textOf('receipt'), /receipt ok[^]*zsmerge held \d+ tokens in 24 slots/)
    assert.match(await person.textOf(1), /of version 99 of the explorer/)
  })

  does('scrubs: the pointer on the scrubber, one step or ten or a hundred by the keyboard', async () => {
    const before = await picture('overview')
    const box = (await part('scrubber').boundingBox())!
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2)
    await says('step', /^step (19|20) \/ 39$/)
    assert.notEqual(await picture('overview'), before)
    await key('Home')
    await key('ArrowRight')
    await key('Shift+ArrowRight')
    await says('step', /^step 11 \//)
    await says('sentence', /^Step 11 of 39: .*merged into slot [01], which now stands for \d+.*came\.$/)
    await until(
      async () => (await explorer.locator('[aria-live]').innerText()).startsWith('Step 11 of 39'),
      'nobody is told of the step',
    )
    await key('Control+ArrowRight')
    await says('step', /^step 39 \//)
    await key('ArrowLeft')
    await says('step', /^step 38 \//)
  })

  does('a card tells of the token or slot under the pointer, a click keeps it', async () => {
    await token(60).hover()
    await says('card', /at 60, generated\n(merged|kept|dropped|will)/)
    await token(60).click()
    await says('detail', /at 60, generated/)
    assert.match((await token(60).getAttribute('class'))!, /zsx-selected/)
    await part('slots').hover({ position: { x: 8, y: 8 } })
    await says('card', /slot 0 stands for \d+ tokens/)
  })

  does('the lineage of a merged slot lists its members in order of arrival, each a way to the text', async () => {
    await part('slots').click({ position: { x: 8, y: 8 } })
    await says('detail', /Slot 0 stands for \d+ tokens/)
    const rows = explorer.locator('.zsx-lineage tbody tr')
    const stands = Number(/for (\d+) tokens/.exec(await textOf('detail'))![1])
    assert.equal(await rows.count(), stands)
    const steps = (await rows.locator('td:nth-child(4)').allInnerTexts()).slice(1).map(Number)
    assert.deepEqual(
      steps,
      steps.toSorted((a, b) => a - b),
    )
    const at = Number(await rows.last().locator('td:nth-child(3)').innerText())
    await rows.last().locator('button').click()
    await until(
      async () => /zsx-selected/.test((await token(at).getAttribute('class')) ?? ''),
      'the text does not follow',
    )
    await key('ArrowLeft') // on a button: nothing
    await part('scrubber').focus()
    await key('Home')
    await until(
      async () => !(await textOf('detail')).includes(`stands for ${stands} tokens`),
      'the list stays as it was later',
    )
  })

  does('colours by region, by fate and by score, with a legend of each', async () => {
    const colour = () =>
      token(95).evaluate((node) => node.ownerDocument.defaultView!.getComputedStyle(node).backgroundColor)
    await key('End')
    await says('step', /^step 39 \//)
    const looks = new Set<string>()
    for (const [mode, words] of [
      ['region', /kept, older.*merged/s],
      ['fate', /kept to the end/],
      ['score', /never judged/],
    ] as const) {
      await part('mode').selectOption(mode)
      await says('legend', words)
      looks.add(await colour())
    }
    assert.ok(looks.size >= 2, [...looks].join(' '))
    await part('mode').selectOption('region')
  })

  does('is worked by the keyboard alone', async () => {
    await open('explorer.ipynb')
    await says('step', /^step 0 \//)
    await part('scrubber').focus()
    await key('End')
    const next = async (name: string) => {
      for (let presses = 0; presses < 12; presses++) {
        await key('Tab')
        if (await part(name).evaluate((node) => node === node.ownerDocument.activeElement)) return
      }
      assert.fail(`Tab never comes to .zsx-${name}`)
    }
    await next('grid')
    await key('ArrowDown')
    await says('head-line', /^Layer 0, kv head 1:/)
    await key('ArrowRight')
    await says('head-line', /^Layer 1, kv head 1:/)
    await next('strip')
    await key('Home')
    await key('Shift+ArrowRight')
    await says('detail', /at 10, read/)
    await next('slots')
    await key('Home')
    await key('Enter')
    await says('detail', /Slot 0 stands for/)
    assert.match((await part('slots').getAttribute('aria-label'))!, /slot 0 is selected/)
    await next('lineage')
    await key('Tab')
    await key('Enter')
    assert.equal(await explorer.locator('.zsx-selected').count(), 1)
    // The notebook took none of these keys for its own.
    assert.equal(await page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell').count(), 2)
  })

  does('fits into 400 pixels', async () => {
    await person
      .cell(0)
      .locator('.zslab-explorer')
      .evaluate((node) => (node.style.maxWidth = '400px'))
    await until(async () => (await part('slots').boundingBox())!.width < 400, 'it keeps its width')
    const wide = await explorer.evaluate((node) => node.scrollWidth)
    assert.ok(wide <= 400, `it is ${wide} pixels wide`)
  })

  does('colours heads by a measure, and opens a passport of the one that is chosen', async () => {
    await open('measured.ipynb')
    const before = await picture('grid')
    await part('measure').selectOption('sinkMass')
    await says('grid-key', /^sinkMass: [\d.]+\s*[\d.]+ share/)
    assert.notEqual(await picture('grid'), before)
    assert.match((await part('grid').getAttribute('aria-label'))!, /kv head 0 is chosen\. sinkMass: [\d.]+ share/)
    await part('grid').hover({ position: { x: 40, y: 20 } })
    await says('card', /layer 0, kv head 0\nsinkMass: [\d.]+ share/)
    await part('passport').locator('summary').click()
    await says('passport', /^passport of layer 0, kv head 0\nquery head 0: [^]*entropy\s+[\d.]+ · \d+ of 12/)
    await part('passport').getByRole('button', { name: 'kvzip' }).click()
    await until(async () => (await part('measure').inputValue()) === 'kvzip', 'the list does not follow')
    await part('grid').focus()
    await key('ArrowRight')
    await says('passport', /^passport of layer 1, kv head 0\n/)
    await part('measure').focus()
    await key('Home') // in a list: its own
    await says('step', /^step 0 \//)
    await until(async () => (await part('measure').inputValue()) === '', 'Home does not choose the first')
  })

  does('shows two runs side by side, linked, and how they differ', async () => {
    await open('two.ipynb')
    await part('scrubber').focus()
    await key('End')
    await says(
      'sentence',
      /^merging: Step 39[^]*\ndropping: Step 39[^]*dropped[^]*\nKept on their own in both: \d+ \(Jaccard 0\.\d+\)/,
    )
    const runs = explorer.locator('.zsx-run')
    assert.deepEqual(await runs.locator('.zsx-title').allInnerTexts(), ['merging', 'dropping'])
    const [left, right] = [(await runs.nth(0).boundingBox())!, (await runs.nth(1).boundingBox())!]
    assert.ok(right.x > left.x + left.width - 1 && Math.abs(right.y - left.y) < 2, 'not side by side')
    await runs.nth(0).locator('.zsx-token').nth(3).click()
    await until(async () => (await explorer.locator('.zsx-selected').count()) === 2, 'the other run does not follow')
    await runs.nth(1).locator('.zsx-grid').focus()
    await key('ArrowRight')
    const lines = explorer.locator('.zsx-of-head .zsx-head-line')
    await until(
      async () => (await lines.allInnerTexts()).filter((text) => text.startsWith('Layer 1, kv head 0:')).length === 2,
      'the other run shows another head',
    )
  })

  does('says plainly what is not there without a kernel that has the run', async () => {
    await open('cut.ipynb')
    await person.idle()
    await part('grid').focus()
    await key('ArrowRight')
    await says('message', /not in the saved output, .*run the cell again/)
    await key('ArrowLeft')
    await says('head-line', /^Layer 0, kv head 0:/)
  })

  does('fetches heads that the output has no room for from the kernel', async () => {
    page = await started().open('live.ipynb')
    person = new Person(page)
    await person.idle()
    await person.run(0)
    explorer = person.cell(0).locator('.zslab-explorer .zsx')
    await explorer.waitFor({ timeout: WAIT_MS })
    await says('head-line', /^Layer 0, kv head 0:/)
    await part('grid').focus()
    await key('ArrowRight')
    await says('head-line', /^Layer 1, kv head 0: \d+ slots/)
    await key('ArrowDown')
    await says('head-line', /^Layer 1, kv head 1: \d+ slots/)
  })

  does('follows a session while it works, until who looks moves away, and ends with the whole output', async () => {
    page = await started().open('follow.ipynb')
    person = new Person(page)
    await person.idle()
    await person.run(0)
    const place = person.cell(0).locator('.zslab-explorer')
    await place.getByText('Waiting for the session').waitFor({ timeout: WAIT_MS })
    await person.run(1)
    explorer = place.locator('.zsx')
    await explorer.waitFor({ timeout: WAIT_MS })
    const stepNow = async () => Number(/^step ([\d,]+)/.exec(await textOf('step'))![1].replaceAll(',', ''))
    const last = async () => Number((await part('scrubber').getAttribute('max'))!)
    const moves = async (from: number) => until(async () => (await last()) > from + 3, `it stays at step ${from}`)
    await says('live', /follows the session/)
    await moves(await last())
    await until(async () => (await stepNow()) > 3, 'the scrubber does not follow the end')
    await part('scrubber').focus()
    await key('Home')
    await moves(await last())
    assert.equal(await stepNow(), 0)
    assert.equal(await part('scrubber').evaluate((node) => node === node.ownerDocument.activeElement), true)
    // Another head goes on as well, while the cell runs.
    await part('grid').focus()
    await key('ArrowRight')
    await says('head-line', /^Layer 1, kv head 0: \d+ slots/)
    await key('End')
    await part('scrubber').focus()
    await key('End')
    const at = await stepNow()
    await until(async () => (await stepNow()) > at, 'it does not follow again')
    await person.press('interrupt')
    await says('live', /the session rests/)
    const end = await last()
    assert.equal(await stepNow(), end)
    // From inside the explorer, whose own chords with Ctrl it is not.
    await part('scrubber').focus()
    await page.keyboard.press('Control+s')
    const saved = () => started().saved('follow.ipynb').cells[0].outputs[0]?.data ?? {}
    const savedStep = () => (saved()[EXPLORER_MIME] as ReturnType<typeof documentOf> | undefined)?.runs[0]?.lastStep
    await until(() => savedStep() === end, 'the notebook keeps another output than what is shown')
    assert.match([saved()['image/svg+xml']].flat().join(''), /^<svg/)
    await person.press('restart')
    await person.accept()
    await says('live', /no longer live/)
    await part('scrubber').focus()
    await key('ArrowLeft')
    await until(async () => (await stepNow()) === end - 1, 'what there was by then cannot be looked at')
  })

  does('shows a receipt that failed in red, with the first violation', async () => {
    await open('failed.ipynb')
    const summary = part('receipt').locator('summary')
    assert.match(await summary.innerText(), /receipt FAILED/)
    const colour = await summary.evaluate((node) => node.ownerDocument.defaultView!.getComputedStyle(node).color)
    const [red, green, blue] = colour.match(/\d+/g)!.map(Number)
    assert.ok(red > 150 && green < 100 && blue < 100, colour)
    await summary.click()
    assert.match(await textOf('receipt'), /weights sum to 101[^]*step 3/)
  })

  does('is dark where the lab is', async () => {
    await open('explorer.ipynb')
    await person.theme('JupyterLab Dark')
    await until(async () => (await explorer.getAttribute('data-theme')) === 'dark', 'it stays light')
    const looks = await explorer
      .locator('.zsx-sentence')
      .evaluate((node) => node.ownerDocument.defaultView!.getComputedStyle(node).color)
    const [red] = /\d+/.exec(looks)!
    assert.ok(Number(red) > 150, `text is ${looks}`)
    await person.theme('JupyterLab Light') // the lab would remember it for others
  })
}
