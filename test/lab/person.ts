/** A notebook in a browser as a person uses it: cells, keys, the toolbar, what is shown below a cell. Waits are bounded. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'

export const WAIT_MS = 60_000

/** Rejects with `otherwise` if it does not hold in time. */
export async function until(holds: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
  const end = Date.now() + WAIT_MS
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(otherwise)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

export class Person {
  constructor(readonly page: Page) {}

  cell(at: number) {
    return this.page.locator('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell').nth(at)
  }

  outputs(at: number) {
    return this.cell(at).locator('.jp-OutputArea-output')
  }

  /** The kernel is idle and stays so: a page that has just opened shows idle, connects once more, and loses what is run meanwhile. */
  async idle(): Promise<void> {
    const status = this.page.locator('.jp-Notebook-ExecutionIndicator')
    let since = 0
    await until(async () => {
      if ((await status.getAttribute('data-status')) !== 'idle') since = 0
      else since ||= Date.now()
      return since > 0 && Date.now() - since > 2000
    }, 'the kernel is not idle')
  }

  async busy(): Promise<void> {
    await this.page.locator('.jp-Notebook-ExecutionIndicator[data-status="busy"]').waitFor({ timeout: WAIT_MS })
  }

  /** Replaces the cell's text, key by key, so that the editor reacts as to a person. */
  async type(at: number, text: string): Promise<void> {
    await this.cell(at).locator('.cm-content').click()
    await this.page.keyboard.press('ControlOrMeta+a')
    await this.page.keyboard.type(text)
  }

  async run(at: number): Promise<void> {
    await this.cell(at).locator('.cm-content').click()
    await this.page.keyboard.press('Control+Enter')
  }

  /** Runs `text` in a cell and waits until it is done. */
  async execute(at: number, text: string): Promise<void> {
    const prompt = this.cell(at).locator('.jp-InputPrompt')
    const before = await prompt.innerText()
    await this.write(at, text)
    await this.page.keyboard.press('Control+Enter')
    await until(async () => {
      const now = await prompt.innerText()
      return now !== before && /\d/.test(now)
    }, `cell ${at} is not done`)
  }

  /** A cell's text, inserted at once: brackets that the editor closes by itself would stand there twice. A page that is busy may lose a key. */
  private async write(at: number, text: string): Promise<void> {
    const content = this.cell(at).locator('.cm-content')
    const words = (said: string) => said.replaceAll(/\s+/g, ' ').trim()
    await until(async () => {
      await content.click()
      await this.page.keyboard.press('ControlOrMeta+a')
      await this.page.keyboard.insertText(text)
      return words(await content.innerText()) === words(text)
    }, `cell ${at} does not have its text`)
  }

  async textOf(at: number, which = 0): Promise<string> {
    await this.outputs(at).nth(which).waitFor({ timeout: WAIT_MS })
    return (await this.outputs(at).nth(which).innerText()).trim()
  }

  async press(button: 'interrupt' | 'restart'): Promise<void> {
    await this.page.locator(`.jp-NotebookPanel:not(.lm-mod-hidden) [data-jp-item-name="${button}"]`).click()
  }

  async accept(): Promise<void> {
    await this.page.locator('.jp-Dialog .jp-mod-accept').click()
  }

  /** Gives the lab another theme, by its menu. */
  async theme(name: 'JupyterLab Dark' | 'JupyterLab Light'): Promise<void> {
    await this.page.locator('.lm-MenuBar-itemLabel', { hasText: 'Settings' }).click()
    await this.page.locator('.lm-Menu-itemLabel', { hasText: /^Theme$/ }).click()
    await this.page.locator('.lm-Menu-itemLabel', { hasText: new RegExp(`^${name}$`) }).click()
    const light = String(name === 'JupyterLab Light')
    await until(
      async () => (await this.page.locator('body').getAttribute('data-jp-theme-light')) === light,
      `the lab does not become ${name}`,
    )
  }
}
