/** Our kernel as a person meets it in JupyterLab and in Notebook: typing, completion, help, the toolbar, questions, crashes. */
import assert from 'node:assert/strict'
import { browserFor } from '../left-out.js'
import { type App, Lab, makeJupyter, notebookOf } from './lab.js'
import { Person, until, WAIT_MS } from './person.js'

const browser = browserFor('JupyterLab and Notebook as a person uses them (test/lab)')
const FILES = { 'a.ipynb': notebookOf(Array.from({ length: 6 }, (_, i) => ({ id: `cell-${i}`, source: '' }))) }

const DECLARED = `/** Adds what it is given. */
function add(a: number, b: number): number { return a + b }
interface Point { x: number }
const point: Point = { x: 1 }
add(point.x, 2)`
const THROWS = `function check(size: number) {
  if (size > 3) throw new RangeError('size is ' + size)
}
check(4)`

const NAMES: Record<App, string> = { lab: 'JupyterLab', notebook: 'Notebook' }

if (browser)
  for (const app of ['lab', 'notebook'] as const)
    describe(`a person in ${NAMES[app]}`, function () {
      this.timeout(300_000)
      let lab: Lab
      let person: Person

      before(async () => {
        makeJupyter()
        lab = await Lab.start(browser, FILES, app)
        person = new Person(await lab.open('a.ipynb'))
        await person.idle()
      })
      after(() => lab?.stop())

      const key = (name: string) => person.page.keyboard.press(name)

      it('runs what was typed, in the colours of TypeScript', async () => {
        await person.execute(0, DECLARED)
        assert.equal(await person.textOf(0), '3')
        const editor = person.cell(0).locator('.cm-content')
        assert.equal(await editor.getAttribute('data-language'), 'typescript')
        const looks = (word: RegExp) => editor.locator('span', { hasText: word }).first().getAttribute('class')
        assert.equal(await looks(/^interface$/), await looks(/^function$/)) // a plain name in JavaScript
      })

      it('Tab offers the members of an unfinished expression', async () => {
        await person.type(1, '[1,2].ma')
        await key('Tab')
        const items = person.page.locator('.jp-Completer-item .jp-Completer-match')
        await items.first().waitFor({ timeout: WAIT_MS })
        assert.ok((await items.allInnerTexts()).includes('map'))
        await key('Escape')
      })

      it('Shift+Tab shows signature and documentation', async () => {
        await person.type(1, 'add(')
        await key('Shift+Tab')
        const tooltip = person.page.locator('.jp-Tooltip')
        const words = /function add\(a: number, b: number\): number[^]*Adds what it is given/
        await until(
          async () => words.test(await tooltip.innerText({ timeout: WAIT_MS })),
          'the tooltip says something else',
        )
        await key('Escape')
      })

      it('a question mark pages the documentation', async () => {
        await person.execute(1, 'add?')
        assert.match(await person.textOf(1), /function add\(a: number[^]*Adds what it is given/)
      })

      it('the interrupt button ends an endless loop, and state is kept', async () => {
        await person.type(2, 'while (true) {}')
        await person.run(2)
        await person.busy()
        await person.press('interrupt')
        assert.match(await person.textOf(2), /interrupted/i)
        await person.execute(3, 'point.x + 10')
        assert.equal(await person.textOf(3), '11')
      })

      it('shows an error with the line that threw it', async () => {
        await person.execute(2, THROWS)
        const text = await person.textOf(2)
        assert.match(text, /RangeError: size is 4/)
        assert.match(text, /2 \| +if \(size > 3\) throw/)
        assert.doesNotMatch(text, /dist\/kernel|node:internal/)
      })

      it('draws a table, and progress that ends as one line', async () => {
        await person.execute(2, `display.html('<table><tr><th>head</th></tr><tr><td>7</td></tr></table>')`)
        assert.equal(await person.cell(2).locator('table td').innerText(), '7')
        await person.execute(
          2,
          `for (const i of progress([1, 2, 3], { label: 'layers' })) await new Promise((r) => setTimeout(r, 50))`,
        )
        assert.match(await person.textOf(2), /^layers: 3\/3/)
      })

      it('asks a question in the page', async () => {
        await person.type(4, "'hello ' + await input('Name? ')")
        await person.run(4)
        const box = person.page.locator('.jp-Stdin-input')
        await box.waitFor({ timeout: WAIT_MS })
        await box.fill('Ada')
        await box.press('Enter')
        await until(
          async () => (await person.outputs(4).allInnerTexts()).some((text) => text.includes('hello Ada')),
          'the answer does not arrive',
        )
      })

      it('says what a crash was, and the next cell runs', async () => {
        await person.execute(5, 'process.abort()')
        await until(
          async () => /state was lost/i.test((await person.outputs(5).allInnerTexts()).join('\n')),
          'the crash is not told',
        )
        await person.execute(3, '20 + 1')
        assert.equal(await person.textOf(3), '21')
      })

      it('the restart button makes everything new', async () => {
        await person.execute(3, 'const kept = 1\nkept')
        await person.press('restart')
        await person.accept()
        await person.idle()
        await person.execute(3, 'kept')
        assert.match(await person.textOf(3), /Cannot find name 'kept'/)
        const coloured = person
          .outputs(3)
          .locator('[class^="ansi-"][class*="-fg"]:not(.ansi-red-fg, [class*="-inverse-"])')
        assert.deepEqual(await coloured.allInnerTexts(), [], 'hard to read on the background of errors')
      })

      it('asks nobody but the server for anything', () => assert.deepEqual(lab.strangers, []))
    })
