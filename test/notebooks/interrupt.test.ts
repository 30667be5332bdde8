/** A cell that is inside the native engine: interrupted by message and by signal, its objects as they were, the next cell runs. */
import assert from 'node:assert/strict'
import { kernelTests } from '../kernel/cells/cells.js'
import type { Kernel } from '../kernel/client.js'

// Small arrays, made at once, and more than 10¹³ operations on them: nobody waits for its end.
const LONG = `
const long = (n: number) => new Float32Array(n * 64)
await cache.prefill(0, long(300_000), long(300_000), long(300_000))`

kernelTests('native work is interrupted', (cells) => {
    let kernel: Kernel
    before(async () => {
      kernel = cells.kernel
      const made = await kernel.execute(
        `import { createCache, zsmerge } from 'zslab'
         const cache = createCache({ layers: 1, heads: 1, kvHeads: 1, headDim: 64, policy: zsmerge({ budget: 64 }) })`,
      )
      assert.equal(made.reply.content.status, 'ok', JSON.stringify(made.error))
    })

    for (const how of ['message', 'signal'])
      it(`by ${how}`, async () => {
        const id = await kernel.begin(`console.log('go');${LONG}`)
        await kernel.until(() => kernel.published(id).some((m) => m.type === 'stream'), 'the cell to run')
        await new Promise((resolve) => setTimeout(resolve, 500)) // the arrays are made, the engine is at work
        if (how === 'signal') await kernel.order({ op: 'signal', name: 'SIGINT' })
        else await kernel.ask('control', 'interrupt_request', {})
        const { reply, error } = await kernel.finish(id)
        assert.equal(reply.content.status, 'error')
        assert.match(String(error!.ename), /Interrupted|AbortError/, JSON.stringify(error))
        const after = await kernel.execute(
          `const small = (n: number) => new Float32Array(n * 64).fill(0.5)
           await cache.fork().then((one) => one.prefill(0, small(100), small(100), small(100))).then((out) => out.length)`,
        )
        assert.equal(after.result?.data['text/plain'], String(100 * 64), JSON.stringify(after.error))
      })
})
