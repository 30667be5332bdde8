/** `zslab cache list | clear`, for people and for scripts. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheCommand } from '../../../src/cli/cache.js'
import { ownFolder } from '../model/files.js'

const folder = join(ownFolder(), 'cache')

/** What the command prints. */
async function output(...words: string[]): Promise<string> {
  const write = process.stdout.write
  let text = ''
  process.stdout.write = ((part: string) => ((text += part), true)) as typeof write
  try {
    await cacheCommand().exitOverride().parseAsync(words, { from: 'user' })
  } finally {
    process.stdout.write = write
  }
  return text
}

describe('zslab cache', () => {
  const saved = process.env.ZSLAB_CACHE
  before(() => {
    process.env.ZSLAB_CACHE = folder
  })
  after(() => {
    if (saved === undefined) delete process.env.ZSLAB_CACHE
    else process.env.ZSLAB_CACHE = saved
  })

  it('says so when there is nothing', async () => {
    assert.equal(await output('list'), `no models in ${folder}\n`)
    assert.deepEqual(JSON.parse(await output('list', '--json')), { folder, models: [], packed: [], leftoverBytes: 0 })
    assert.match(await output('clear'), /^0\.0 MB removed from /)
  })

  it('lists and clears models and what interrupted downloads left', async () => {
    const path = join(folder, 'models', 'a-model', 'a.gguf')
    mkdirSync(join(folder, 'models', 'a-model'), { recursive: true })
    mkdirSync(join(folder, 'work-1-x'))
    mkdirSync(join(folder, 'packed'))
    const packed = join(folder, 'packed', `${'0'.repeat(64)}-v1.weights`)
    writeFileSync(packed, Buffer.alloc(300_000))
    writeFileSync(path, Buffer.alloc(1_500_000))
    writeFileSync(join(folder, 'work-1-x', 'part'), Buffer.alloc(500_000))
    const listed = await output('list')
    assert.match(
      listed,
      /^a-model +1\.5 MB +\/.*a\.gguf\npacked weights of a model not known any more +0\.3 MB +\/.*-v1\.weights\n0\.5 MB of interrupted downloads and loads/,
    )
    assert.ok(listed.includes(path))
    const json = JSON.parse(await output('clear', '--json')) as object
    assert.deepEqual(json, {
      folder,
      removed: [{ name: 'a-model', path, bytes: 1_500_000 }],
      packed: [{ path: packed, bytes: 300_000 }],
      bytes: 2_300_000,
    })
    assert.equal(await output('list'), `no models in ${folder}\n`)
  })
})
