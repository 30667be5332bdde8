/** readGguf and describe: what a good file gives, and the sentence for each kind of bad one. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeGguf, type MetadataEntry, type TensorData } from '../../../scripts/gguf-writer.js'
import { toyFile, toyModel } from '../../../scripts/make-toy-model.js'
import { describe as describeModel } from '../../../src/model/architectures.js'
import { fileHash } from '../../../src/model/file-hash.js'
import { readGguf } from '../../../src/model/gguf-parts.js'
import { ownFolder, toyPath, written } from './files.js'

const folder = ownFolder()

/** The toy with `change` made to its parts. */
function changed(change: (metadata: MetadataEntry[], tensors: TensorData[]) => void, alignment = 32): string {
  const { metadata, tensors } = toyModel()
  change(metadata, tensors)
  return written(folder, 'changed.gguf', encodeGguf(metadata, tensors, alignment))
}

const set = (metadata: MetadataEntry[], key: string, value: unknown) => {
  const entry = metadata.find((e) => e.key === key)
  const type = typeof value === 'string' ? 'string' : Number.isInteger(value) ? 'uint32' : 'float32'
  if (entry) Object.assign(entry, { type, value })
  else metadata.push({ key, type, value: value as never })
}

async function refused(path: string, code: string, ...words: RegExp[]): Promise<void> {
  await assert.rejects(
    async () => describeModel(await readGguf(path)),
    (error: Error & { code?: string }) => {
      assert.equal(error.name, 'ZslabError', error.stack)
      assert.equal(error.code, code, error.message)
      for (const word of words) assert.match(error.message, word)
      assert.ok(error.message.includes(path), `the message names the file: ${error.message}`)
      return true
    },
  )
}

describe('a GGUF file', () => {
  it('gives shapes, types, absolute offsets and metadata', async () => {
    const gguf = await readGguf(toyPath)
    const file = readFileSync(toyPath)
    assert.equal(gguf.bytes, file.length)
    const { tensors, metadata } = toyModel()
    assert.deepEqual(
      gguf.tensors.map((t) => [t.name, t.type, t.shape, t.bytes]),
      tensors.map((t) => [t.name, t.type, t.shape, t.bytes]),
    )
    gguf.tensors.forEach((t, i) =>
      assert.ok(file.subarray(t.offset, t.offset + t.bytes).equals(tensors[i].data), t.name),
    )
    assert.deepEqual(new Set(gguf.tensors.map((t) => t.type)), new Set([0, 1, 3, 8]))
    for (const { key, value } of metadata)
      assert.deepEqual(gguf.metadata[key], key.endsWith('epsilon') ? Math.fround(value as number) : value, key)
  })

  it('is described as the native engine wants it', async () => {
    const { name, parameters, ...shape } = describeModel(await readGguf(toyPath))
    assert.equal(name, 'zslab toy')
    assert.equal(
      parameters,
      toyModel().tensors.reduce((n, t) => n + t.shape.reduce((a, b) => a * b), 0),
    )
    assert.deepEqual(shape, {
      arch: 'llama', archNumber: 0, layers: 3, heads: 4, kvHeads: 2, headDim: 16, hidden: 64, feedForward: 96, vocabulary: 319,
      context: 2048, ropeDims: 16, ropeBase: 10000, normEps: Math.fround(1e-5), tiedOutput: false,
    }) // prettier-ignore
    const tied = written(folder, 'tied.gguf', toyFile({ tied: true }))
    assert.equal(describeModel(await readGguf(tied)).tiedOutput, true)
  })

  it('is what scripts/make-toy-model.ts writes, within 300 kB', () => {
    const file = readFileSync(toyPath)
    assert.ok(file.length <= 300_000)
    assert.ok(file.equals(toyFile()), 'run npx tsx scripts/make-toy-model.ts')
  })

  it('may say what changes nothing: scaling by one, the same number for every layer, a split into one file', async () => {
    const plain = describeModel(await readGguf(toyPath))
    const found = async (change: (metadata: MetadataEntry[]) => void) => describeModel(await readGguf(changed(change)))
    const eachLayer = (metadata: MetadataEntry[], key: string, value: number) => {
      const entry = metadata.find((e) => e.key === key)
      const array: MetadataEntry = { key, type: 'array', of: 'uint32', value: [value, value, value] }
      if (entry) Object.assign(entry, array)
      else metadata.push(array)
    }
    for (const change of [
      (m: MetadataEntry[]) => set(m, 'llama.rope.scaling.type', 'none'),
      (m: MetadataEntry[]) => (set(m, 'llama.rope.scaling.type', 'linear'), set(m, 'llama.rope.scaling.factor', 1)),
      (m: MetadataEntry[]) => (set(m, 'llama.rope.scaling.factor', 0), set(m, 'llama.rope.scaling.attn_factor', 1)),
      (m: MetadataEntry[]) => set(m, 'llama.rope.scaling.original_context_length', 2048),
      (m: MetadataEntry[]) => eachLayer(m, 'llama.attention.head_count', plain.heads),
      (m: MetadataEntry[]) => eachLayer(m, 'llama.attention.head_count_kv', plain.kvHeads),
      (m: MetadataEntry[]) => eachLayer(m, 'llama.feed_forward_length', plain.feedForward),
      (m: MetadataEntry[]) => m.push({ key: 'llama.attention.causal', type: 'bool', value: true }),
      (m: MetadataEntry[]) => (set(m, 'split.count', 1), set(m, 'split.no', 0)),
    ])
      assert.deepEqual(await found(change), plain)
  })

  it('has a hash, with progress', async () => {
    const seen: number[] = []
    const hash = await fileHash(toyPath, { progress: (done, total) => seen.push(done / total) })
    assert.equal(hash, createHash('sha256').update(readFileSync(toyPath)).digest('hex'))
    assert.equal(seen.at(-1), 1)
  })

  it('keeps the strings that cross a read of the library whole', async () => {
    // The library reads 2,000,000 bytes at a time and half a megabyte ahead of each key: a longer value can end in a cut string.
    const values = (probe: string | string[]) =>
      changed((metadata) => {
        for (const length of [1_000_000, 400_000 - encodeGguf(metadata, []).length])
          metadata.push({ key: `pad.${length}`, type: 'string', value: ' '.repeat(length) })
        if (typeof probe === 'string') metadata.push({ key: 'probe', type: 'string', value: probe })
        else metadata.push({ key: 'probe', type: 'array', of: 'string', value: probe })
      })
    const long = 'x'.repeat(700_000) + 'END'
    assert.ok((await readGguf(values(long))).metadata.probe === long)
    const array = ['y'.repeat(500_000), 'z'.repeat(200_000) + 'END']
    assert.ok((await readGguf(values(array))).metadata.probe.toString() === array.toString())
  })
})

describe('a GGUF file that cannot be used', () => {
  it('is missing, a folder, a pipe, empty or something else', async () => {
    await refused(join(folder, 'none.gguf'), 'file', /there is no such file/)
    await refused(folder, 'file', /no regular file/)
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    await refused(pipe, 'file', /no regular file/)
    await refused(written(folder, 'empty', Buffer.alloc(0)), 'file', /0 bytes/)
    await refused(
      written(folder, 'text', Buffer.from('# a text file, not a model\n')),
      'file',
      /"# a "/,
      /not a GGUF file/,
    )
  })

  it('ends too early, wherever that is', async () => {
    const file = toyFile()
    for (const end of [30, 200, 5000, 8320, 8321, 100_000, file.length - 700])
      await refused(
        written(folder, 'short.gguf', file.subarray(0, end)),
        'file',
        /the end of the file|cut short|expected/,
      )
  })

  it('has an old version or the other byte order', async () => {
    const file = toyFile()
    file.writeUInt32LE(1, 4)
    await refused(written(folder, 'v1.gguf', file), 'unsupported', /version 1/)
    file.writeUInt32BE(3, 4)
    await refused(written(folder, 'be.gguf', file), 'unsupported', /big-endian/)
  })

  it('claims more than it can hold', async function () {
    this.timeout(300_000)
    const file = toyFile()
    file.writeBigUInt64LE(2n ** 60n, 8)
    await refused(written(folder, 'many.gguf', file), 'file', /1152921504606846976/)
    const keys = toyFile()
    keys.writeBigUInt64LE(4000n, 16)
    await refused(written(folder, 'keys.gguf', keys), 'file', /expected/)
    await refused(
      changed((m) => m.push({ key: 'x', type: 'array', of: 'uint8', value: Array(1_000_001).fill(1) })),
      'file',
      /1000001/,
    )
    await refused(
      changed((m) => m.push({ key: 'x', type: 'string', value: 'y'.repeat(2 ** 20 + 1) })),
      'file',
      /length of x/,
    )
  })

  it('names a type that is not read, and those that are', async () => {
    await refused(
      changed((_, t) => (t[2].type = 10)),
      'unsupported',
      /Q2_K/,
      /F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, BF16/,
    )
    await refused(
      changed((_, t) => (t[2].type = 99)),
      'unsupported',
      /number 99/,
    )
  })

  it('has tensors in the wrong place, of the wrong shape, twice or overlapping', async () => {
    await refused(
      changed((_, t) => (t[1].shape = [65])),
      'file',
      /shape|running into/,
    )
    await refused(
      changed((_, t) => (t[0].shape = [48, 319])),
      'file',
      /multiple of 32/,
    )
    await refused(
      changed((_, t) => (t[1].shape = [0])),
      'file',
      /at least 1/,
    )
    await refused(
      changed((_, t) => (t[1].shape = [2 ** 40, 2 ** 40])),
      'file',
      /at most|safe|dimension/i,
    )
    await refused(
      changed((_, t) => (t[1].shape = [4, 4, 4])),
      'unsupported',
      /one or two dimensions/,
    )
    await refused(
      changed((_, t) => (t[2].name = t[1].name)),
      'file',
      /twice/,
    )
    await refused(
      changed((_, t) => (t[0].bytes -= 64)),
      'file',
      /running into|multiple/,
    )
    await refused(
      changed((_, t) => (t[1].name = 'a name\n')),
      'file',
      /printable/,
    )
    await refused(
      changed((_, t) => (t[0].bytes += 2 ** 40)),
      'file',
      /one inside the file|cut short/,
    )
  })

  it('has a senseless alignment', async () => {
    for (const value of [0, 3, 2 ** 31])
      await refused(
        changed((m) => set(m, 'general.alignment', value)),
        'file',
        /alignment/,
      )
    // Tensors lie at multiples of 32, and the file says 64.
    await refused(
      changed((m, t) => {
        set(m, 'general.alignment', 64)
        t.splice(
          0,
          t.length,
          ...t.slice(1, 2),
          { ...t[1], name: 'odd', shape: [8], bytes: 32, data: t[1].data.subarray(0, 32) },
          { ...t[1], name: 'after' },
        )
      }),
      'file',
      /offset \d+ of tensor "after", expected a multiple of 64/,
    )
  })

  it('holds a key twice, or one that no converter writes', async () => {
    await refused(
      changed((m) => m.push(m[0])),
      'file',
      /general.architecture twice/,
    )
    await refused(
      changed((m) => m.push({ key: '__proto__', type: 'string', value: 'x' })),
      'file',
      /__proto__/,
    )
  })

  it('is of another architecture or uses what is not computed', async () => {
    await refused(
      changed((m) => set(m, 'general.architecture', 'mamba')),
      'unsupported',
      /"mamba"/,
      /llama/,
    )
    await refused(
      changed((m) => set(m, 'llama.rope.scaling.type', 'yarn')),
      'unsupported',
      /rotary scaling/,
      /yarn/,
    )
    await refused(
      changed((m) => set(m, 'llama.expert_count', 8)),
      'unsupported',
      /mixture of experts/,
    )
    await refused(
      changed((_, t) =>
        t.push({ ...t[1], name: 'rope_freqs.weight', shape: [8], bytes: 32, data: t[1].data.subarray(0, 32) }),
      ),
      'unsupported',
      /rope_freqs/,
    )
    await refused(
      changed((_, t) => t.push({ ...t[1], name: 'blk.0.attn_q.bias' })),
      'unsupported',
      /attn_q.bias/,
    )
  })

  it('has scaling that changes something, or layers that differ', async () => {
    const unequal = (key: string, value: number[]) => (m: MetadataEntry[]) =>
      Object.assign(
        m.find((e) => e.key === key)!,
        { type: 'array', of: 'uint32', value },
      )
    for (const [change, ...said] of [
      [(m: MetadataEntry[]) => set(m, 'llama.rope.scaling.factor', 4), /rotary scaling .*factor = 4/],
      [unequal('llama.attention.head_count', [4, 4, 2]), /different numbers of heads/],
      [unequal('llama.feed_forward_length', [96, 64, 96]), /different widths/],
    ] as [(m: MetadataEntry[]) => void, RegExp][])
      await refused(changed(change), 'unsupported', ...said)
  })

  it('contradicts itself', async () => {
    await refused(
      changed((m) => set(m, 'llama.attention.head_count', 'four')),
      'file',
      /"four"/,
      /whole number/,
    )
    await refused(
      changed((m) => set(m, 'llama.block_count', 4)),
      'file',
      /no tensor "blk.3/,
    )
    await refused(
      changed((m) => set(m, 'llama.attention.head_count_kv', 3)),
      'file',
      /4 heads on 3 kv heads/,
    )
    await refused(
      changed((m) => set(m, 'llama.attention.key_length', 17)),
      'file',
      /headDim 17/,
    )
    await refused(
      changed((m) => set(m, 'llama.feed_forward_length', 128)),
      'file',
      /ffn_gate/,
      /\[64, 128\]/,
    )
    await refused(
      changed((_, t) => t.splice(4, 1)),
      'file',
      /no tensor "blk.0.attn_v.weight"/,
    )
    await refused(
      changed((m) =>
        m.splice(
          m.findIndex((e) => e.key === 'llama.block_count'),
          1,
        ),
      ),
      'file',
      /no metadata llama.block_count/,
    )
  })
})
