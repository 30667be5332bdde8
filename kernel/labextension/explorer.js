/** A trace explorer in a notebook's output: what draws it (built from src/explorer/page) comes as a chunk when the first one is shown. */
import { Widget } from '@lumino/widgets'
import { kernelOf } from './kernel.js'

export class ExplorerWidget extends Widget {
  constructor({ mimeType }) {
    super()
    this.mimeType = mimeType
    this.node.dataset.mimeType = mimeType
    this.node.classList.add('zslab-explorer')
    this.mounted = undefined
    this.work = Promise.resolve()
  }

  /** Called by the lab with the output, and again whenever it is updated. */
  renderModel(model) {
    const data = model.data[this.mimeType]
    // What followed a session keeps the newest output in the notebook.
    const save = (bundle) => model.setData({ data: bundle })
    this.work = this.work.then(async () => {
      try {
        const { mount } = await import('./page.js')
        if (this.isDisposed) return
        if (this.mounted && this.mounted.id === data?.id) return await this.mounted.update(data)
        this.mounted?.dispose()
        this.mounted = await mount(this.node, data, () => kernelOf(this), save)
        if (this.isDisposed) this.mounted.dispose()
      } catch (error) {
        this.say(error.message)
      }
    })
    return this.work
  }

  dispose() {
    if (this.isDisposed) return
    this.mounted?.dispose()
    super.dispose()
  }

  say(sentence) {
    const line = document.createElement('div')
    line.textContent = sentence
    line.setAttribute('role', 'alert')
    this.node.replaceChildren(line)
  }
}
