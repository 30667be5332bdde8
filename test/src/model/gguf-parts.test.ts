/** A model that was split into several files: read as one, or refused with the part that is wrong. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeParts } from '../../../scripts/gguf-writer.js'
import { toyModel, type ToyOptions } from '../../../scripts/make-toy-model.js'
import { load } from '../../../src/index.js'
import { openModelFile } from '../../../src/model/index.js'
import { readGguf } from '../../../src/model/gguf-parts.js'
import { ownFolder, toyPath } from './files.js'

const folder = ownFolder()
const nameOf = (part: number, count: number) => `toy-0000${part}-of-0000${count}.gguf`

/** The toy in three files, in a folder of this test's own; returns their paths. */
function split(name: string, options: ToyOptions = {}, sizes = [7, 0, 23]): string[] {
  const { metadata, tensors } = toyModel(options)
  assert.equal(
    sizes.reduce((a, b) => a + b),
    tensors.length,
  )
  const inside = join(folder, name)
  mkdirSync(inside)
  return encodeParts(metadata, tensors, sizes).map((bytes, i) => {
    const path = join(inside, nameOf(i + 1, sizes.length))
    writeFileSync(path, bytes)
    return path
  })
}

async function refused(path: string, named: string, ...words: RegExp[]): Promise<void> {
  await assert.rejects(readGguf(path), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'file', error.stack)
    for (const word of [...words, new RegExp(named)]) assert.match(error.message, word)
    return true
  })
}

describe('a model in several files', () => {
  it('gives the tokens and logits of the whole one, whichever part is named', async () => {
    const parts = split('good')
    const answers = async (path: string) => {
      const model = await load(path, { progress: false, threads: 1 })
      const run = await model.session().generate('the cat sat', { maxTokens: 40 })
      const score = await model.session().score('the cat sat on the mat')
      model.dispose()
      return [run.tokens, score.logprobs]
    }
    const expected = await answers(toyPath)
    for (const path of parts) assert.deepEqual(await answers(path), expected)
  })

  it('has the metadata of its first file, the tensors of all, and one hash', async () => {
    const parts = split('facts')
    const [model, whole] = [await openModelFile(parts[2]), await openModelFile(toyPath)]
    assert.equal(model.path, parts[0])
    assert.deepEqual(model.gguf.paths, parts)
    assert.deepEqual(model.description, whole.description)
    assert.deepEqual(
      model.gguf.tensors.map((t) => t.name),
      whole.gguf.tensors.map((t) => t.name),
    )
    assert.deepEqual(new Set(model.gguf.tensors.map((t) => t.file)), new Set([0, 2]))
    const bytes = parts.map((path) => readFileSync(path))
    assert.equal(
      model.gguf.bytes,
      bytes.reduce((sum, one) => sum + one.length, 0),
    )
    assert.equal(await model.sha256(), createHash('sha256').update(Buffer.concat(bytes)).digest('hex'))
  })

  it('lacks a part, or has lost the names of its parts', async () => {
    const parts = split('missing')
    rmSync(parts[1])
    await refused(parts[0], '00002-of-00003', /is missing/, /--merge/)
    rmSync(parts[0])
    await refused(parts[2], '00001-of-00003', /is missing/)
    const renamed = join(folder, 'missing', 'model.gguf')
    renameSync(parts[2], renamed)
    await refused(renamed, 'model.gguf', /part 3 of a model in 3 files/, /NAME-00001-of-00003\.gguf/)
  })

  it('holds a part of another model, or another part', async () => {
    const [good, other] = [split('own'), split('other', { layers: 2 }, [7, 0, 14])]
    copyFileSync(good[1], join(folder, 'own', 'kept'))
    copyFileSync(good[2], good[1])
    await refused(good[0], '00002-of-00003', /found part 3 of 3, expected part 2 of 3/, /another model/)
    copyFileSync(toyPath, good[1])
    await refused(good[0], '00002-of-00003', /found a whole model/)
    copyFileSync(join(folder, 'own', 'kept'), good[1])
    copyFileSync(other[2], good[2])
    await refused(good[0], '00003-of-00003', /split\.tensors\.count 21, expected 30/)
    // Cut at another tensor: one is there twice, and as many as there should be.
    const [more, fewer] = [split('more', {}, [8, 0, 22]), split('fewer', {}, [7, 1, 22])]
    copyFileSync(fewer[1], more[1])
    const { metadata, tensors } = toyModel()
    writeFileSync(more[2], encodeParts(metadata, tensors, [9, 0, 21])[2])
    await refused(more[0], '00002-of-00003', /tensor .* twice/)
  })

  it('has lost the end of a part', async () => {
    const parts = split('short')
    writeFileSync(parts[2], readFileSync(parts[2]).subarray(0, -4000))
    await refused(parts[0], '00003-of-00003', /cut short/)
  })
})
