/** A page that zooms into a long figure, as the kernel answers it: parts of what was drawn, wrong parts in words, figures that it no longer has. */
import assert from 'node:assert/strict'
import { toyPath } from '../src/model/files.js'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

interface Plotly {
  layout: { meta: { zoom: { id: string; whole: object; part: object } } }
}

kernelTests('zoom', (cells) => {
  let kernel: Kernel
  let number = 0
  before(() => void (kernel = cells.kernel))

  const said = async (type: string, content: Record<string, unknown>) => {
    const id = await kernel.send('shell', type, content)
    await kernel.idle(id)
    return kernel.published(id).filter((message) => message.type.startsWith('comm_'))
  }
  const open = async (id: unknown) => {
    const comm_id = `zoom ${++number}`
    return { comm_id, told: await said('comm_open', { comm_id, target_name: 'zslab.page', data: { id } }) }
  }
  const ask = async (comm_id: string, question: Record<string, unknown>) => {
    const [answer] = await said('comm_msg', { comm_id, data: question })
    return answer.content.data as { ask: number; figure?: Plotly; error?: string }
  }

  it('draws the part that is asked for, as figure.part() does, and says what is wrong with another', async () => {
    await cells.data(`import { figures, load, zsmerge } from 'zslab'
      const model = await load(${JSON.stringify(toyPath)}, { progress: false })
      const session = model.session({ policy: zsmerge({ budget: 200, recent: 50, residual: 3 }), trace: true })
      const run = await session.generate('It was the best of times. '.repeat(60), { maxTokens: 60, ignoreEos: true, progress: false })
      const map = figures.evictionMap(run, { layer: 0 })`)
    const shown = (await cells.data('map'))['application/vnd.plotly.v1+json'] as Plotly
    const { zoom } = shown.layout.meta
    const { comm_id, told } = await open(zoom.id)
    assert.deepEqual(
      told.map(({ content }) => content.data),
      [{ ready: true }],
    )
    const part = { position: [100, 120], step: [3, 9] }
    const { figure, ...rest } = await ask(comm_id, { ask: 7, part })
    assert.deepEqual(rest, { ask: 7 })
    const { meta, ...layout } = figure!.layout
    assert.deepEqual(meta.zoom, { ...zoom, part, axes: { xaxis: 'position', yaxis: 'step' } })
    const direct = (
      await cells.data(
        `({ [Symbol.for('Jupyter.display')]: () => ({ 'application/json': map.part(${JSON.stringify(part)}).plotly }) })`,
      )
    )['application/json'] as Plotly
    const { meta: width, ...other } = direct.layout
    assert.deepEqual({ ...figure, layout }, { ...direct, layout: other })
    assert.ok(width)
    const wrong = await ask(comm_id, { ask: 8, part: { position: [120, 100] } })
    assert.match(wrong.error!, /expected \[from, to\] in whole numbers.* for position/)
    assert.match((await ask(comm_id, { ask: 9, part: 'all' })).error!, /expected an object for figure\.part/)
    assert.ok((await ask(comm_id, { ask: 10 })).figure, 'none: all of it')
  })

  it('closes pages of figures that it does not have, and of those that it had to forget, with the reason', async () => {
    const stranger = await open('nobody')
    assert.equal(stranger.told[0].type, 'comm_close')
    assert.match((stranger.told[0].content.data as { reason: string }).reason, /does not have it.*run the cell again/)
    const shown = (await cells.data('map'))['application/vnd.plotly.v1+json'] as Plotly
    const { comm_id } = await open(shown.layout.meta.zoom.id)
    // Shown again it is the newest, and the page still its own.
    await cells.data('map')
    const { of } = await cells.execute(
      `for (let i = 0; i < 24; i++) (figures.evictionMap(run, { layer: 0 }) as any)[Symbol.for('Jupyter.display')]()`,
    )
    const [closed] = of('comm_close').filter((content) => content.comm_id === comm_id)
    assert.match((closed.data as { reason: string }).reason, /no longer has this figure \(it keeps the 24 shown last\)/)
  })
})
