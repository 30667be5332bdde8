/** Ctrl+C and broken pipes: commands end at once with what they have, and say so by their exit codes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { before } from 'mocha'
import { fileURLToPath } from 'node:url'
import { defaultModel } from '../src/model/default-model.js'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
const endless = ['generate', '--prompt', 'Once upon a time', '--max-tokens', '4000', '--ignore-eos']

describe('cli, interrupted', function () {
  this.timeout(120_000)
  before(() => defaultModel())

  const started = (...words: string[]) => {
    const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (chunk) => (stderr += String(chunk)))
    return { child, stderr: () => stderr }
  }

  it('SIGINT ends a generation with 130, and what was written stays', async () => {
    const { child, stderr } = started(...endless)
    let text = ''
    child.stdout.on('data', (chunk) => (text += String(chunk)))
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    const [status, signal] = (await once(child, 'close')) as [number | null, string | null]
    assert.deepEqual([status, signal], [130, null], stderr())
    assert.match(stderr(), /ended by aborted/)
    assert.ok(text.length > 0)
  })

  it('a reader that goes away ends it quietly', async () => {
    const { child, stderr } = started(...endless)
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [status] = (await once(child, 'close')) as [number | null]
    assert.equal(status, 0, stderr())
    assert.doesNotMatch(stderr(), /EPIPE|Error/)
  })
})
