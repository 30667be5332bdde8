/** Ctrl+C and broken pipes: commands end at once with what they have, and say so by their exit codes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { watch } from 'node:fs/promises'
import { join } from 'node:path'
import { before } from 'mocha'
import { fileURLToPath } from 'node:url'
import { defaultModel } from '../src/model/default-model.js'
import { ownFolder, written } from '../src/model/files.js'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
const endless = ['generate', '--prompt', 'Once upon a time', '--max-tokens', '4000', '--ignore-eos']

describe('cli, interrupted', function () {
  this.timeout(300_000)
  const folder = ownFolder()
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

  it('SIGINT ends a measurement of heads with 130; what --store has is kept, and the next run goes on from it', async () => {
    const store = join(folder, 'store')
    mkdirSync(store)
    // More than anybody waits for.
    const texts = Array.from({ length: 100 }, (_, text) =>
      written(
        folder,
        `${text}.json`,
        Buffer.from(JSON.stringify(Array.from({ length: 32 }, (_, i) => i * (text + 3)))),
      ),
    )
    const heads = (...files: string[]) => {
      const ids = files.flatMap((file) => ['--prompt-ids', file])
      const { child, stderr } = started('heads', ...ids, '--by', 'ablation', '--rows', '8', '--store', store, '--json')
      let stdout = ''
      child.stdout.on('data', (chunk) => (stdout += String(chunk)))
      return { child, stderr, stdout: () => stdout }
    }
    const first = heads(...texts)
    const ended = once(first.child, 'close') as Promise<[number | null, string | null]>
    for await (const { filename } of watch(store)) if (filename?.endsWith('.json')) break
    first.child.kill('SIGINT')
    assert.deepEqual(await ended, [130, null], first.stderr())
    assert.equal(first.stdout(), '')
    assert.equal(
      first.stderr(),
      `results so far are kept in ${store}: the same command goes on from them\ninterrupted\n`,
    )
    const kept = readdirSync(store)
    assert.ok(kept.length > 0 && kept.length < texts.length / 2, kept.join(' '))
    assert.ok(kept.every((name) => name.endsWith('.json')))
    interface Part {
      values: { ablation: (number | null)[] }
    }
    const parts = kept.map((name) => ({
      path: join(store, name),
      part: JSON.parse(readFileSync(join(store, name), 'utf8')) as Part,
    }))
    // A value that nothing but the file can say; of those that were found, one in each text.
    for (const { path, part } of parts) {
      const at = part.values.ablation.findIndex((value) => value !== null)
      part.values.ablation[at] = 1000
      writeFileSync(path, JSON.stringify(part))
    }
    const again = heads(texts[0])
    assert.deepEqual(await once(again.child, 'close'), [0, null], again.stderr())
    const { ablation } = JSON.parse(again.stdout()) as { ablation: number[][] }
    const found = ablation.flat()
    const holds = ({ part }: { part: Part }) =>
      part.values.ablation.every((value, i) => value === null || value === found[i])
    assert.ok(found.includes(1000) && parts.some(holds), 'none of the values that were kept')
    assert.ok(found.every(Number.isFinite))
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
