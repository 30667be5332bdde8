/** openModelFile: everything about one file, made when asked for. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeGguf } from '../../../scripts/gguf-writer.js'
import { toyFile, toyModel } from '../../../scripts/make-toy-model.js'
import { openModelFile } from '../../../src/model/index.js'
import { ownFolder, toyPath, written } from './files.js'

const folder = ownFolder()

describe('a model file', () => {
  it('has shape, tokenizer, chat, licence and hash', async () => {
    const model = await openModelFile(toyPath)
    assert.deepEqual([model.name, model.path, model.license], [toyPath, toyPath, 'apache-2.0'])
    assert.equal(model.description.layers, 3)
    assert.equal(model.tokenizer.decode(model.tokenizer.encode('the')), 'the')
    assert.equal(model.tokenizer, model.tokenizer)
    assert.match(await model.chat([{ role: 'user', content: 'Hi' }]), /user\nHi/)
    assert.equal(await model.sha256(), createHash('sha256').update(readFileSync(toyPath)).digest('hex'))
  })

  it('is hashed once, when first asked', async () => {
    const path = written(folder, 'once.gguf', toyFile())
    const model = await openModelFile(path)
    const seen: number[] = []
    const first = await model.sha256({ progress: (done, total) => seen.push(done / total) })
    writeFileSync(path, 'changed')
    assert.equal(await model.sha256(), first)
    assert.equal(seen.at(-1), 1)
  })

  it('of GGUF version 2 is read alike', async () => {
    const file = toyFile()
    file.writeUInt32LE(2, 4)
    const model = await openModelFile(written(folder, 'v2.gguf', file))
    assert.equal(model.gguf.version, 2)
    assert.equal(model.description.vocabulary, 319)
  })

  it('opens without its tokenizer, which fails only when used', async () => {
    const { metadata, tensors } = toyModel()
    const other = metadata.map((e) =>
      e.key === 'tokenizer.ggml.model' ? { ...e, value: 'llama' } : e,
    ) as typeof metadata
    const model = await openModelFile(written(folder, 'other.gguf', encodeGguf(other, tensors)))
    assert.throws(() => model.tokenizer, { code: 'unsupported' })
  })

  it('must have as many tokens as rows in its embedding', async () => {
    const { metadata, tensors } = toyModel()
    const fewer = metadata.map((e) =>
      e.type === 'array' && e.key !== 'tokenizer.ggml.merges'
        ? { ...e, value: [...e.value, e.of === 'string' ? 'extra' : 1] }
        : e,
    ) as typeof metadata
    const model = await openModelFile(written(folder, 'more.gguf', encodeGguf(fewer, tensors)))
    assert.throws(() => model.tokenizer, { code: 'file', message: /320 tokens in its tokenizer, expected 319/ })
  })

  it('is missing: the error names it', () =>
    assert.rejects(openModelFile(join(folder, 'none.gguf')), { code: 'file', message: /none\.gguf/ }))
})
