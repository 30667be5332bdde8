/**
 * Hostile model files: mutated headers and tokenizers of the toy give a valid model or a ZslabError, never a crash, a hang or 1 GB;
 * many in this process, some in processes of their own, and the largest headers that are let through.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { transformSync } from 'esbuild'
import { encodeGguf, encodeHeader, type MetadataEntry, type TensorData } from '../../../scripts/gguf-writer.js'
import { byteCharacters, toyModel } from '../../../scripts/make-toy-model.js'
import { fullCache, load, zsmerge } from '../../../src/index.js'
import { TENSOR_TYPES } from '../../../src/model/gguf.js'
import { draws, ownFolder } from './files.js'
import { alike } from '../../scale.js'
import { useModelFile } from './use-model-file.js'

const folder = ownFolder()
const beside = (path: string) => new URL(path, import.meta.url)
/** On what is built: a process that had to compile first would take five times as long. */
const program = join(folder, 'use-model-file.mjs')
const { code } = transformSync(readFileSync(beside('./use-model-file.ts'), 'utf8'), { loader: 'ts' })
writeFileSync(program, code.replaceAll('../../../src/', beside('../../../dist/src/').href))
const LIMIT = 1e9

const parts = ({ metadata, tensors }: ReturnType<typeof toyModel>) => {
  return { metadata, tensors, file: encodeGguf(metadata, tensors), header: encodeHeader(metadata, tensors).length }
}
type Parts = ReturnType<typeof parts>
const toy = parts(toyModel())
/** Matrices of every type in turn. */
const types = Object.keys(TENSOR_TYPES).map(Number)
const typed = parts(toyModel({ layers: 2, heads: 2, kvHeads: 1, headDim: 128, feedForward: 256, types }))

type Draw = (below: number) => number
const pick = <T>(draw: Draw, from: readonly T[]): T => from[draw(from.length)]

const EXTREMES = [
  0n,
  1n,
  2n,
  3n,
  31n,
  33n,
  255n,
  65_535n,
  2n ** 20n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 64n - 32n,
]

/** Changes to the bytes of the header. */
function mutatedBytes(draw: Draw, of: Parts): Buffer {
  const headerBytes = of.header
  let file = Buffer.from(of.file)
  for (let n = 1 + draw(3); n > 0; n--) {
    const at = draw(headerBytes - 16)
    const length = 1 + draw(64)
    switch (draw(9)) {
      case 0: file[at] ^= 1 << draw(8); break
      case 1: file[at] = draw(256); break
      case 2: file.writeBigUInt64LE(pick(draw, EXTREMES), at); break
      case 3: file.writeUInt32LE(Number(pick(draw, EXTREMES) & 0xffffffffn), at); break
      case 4: file = Buffer.concat([file.subarray(0, at), file.subarray(at + length)]); break
      case 5: file = Buffer.concat([file.subarray(0, at), file.subarray(draw(headerBytes - 100)).subarray(0, length), file.subarray(at)]); break
      case 6: file = file.subarray(0, draw(4) ? draw(file.length) + 1 : at + 1); if (file.length < headerBytes) return file; break
      case 7: file.copy(file, at, draw(headerBytes - 64), headerBytes); break
      case 8: file.writeBigUInt64LE(pick(draw, EXTREMES), pick(draw, [4, 8, 16])); break
    }
  } // prettier-ignore
  return file
}

/** Changes to what the header says, in a header that is well formed: types, shapes, offsets, vocabularies, templates. */
function mutatedMeaning(draw: Draw, of: Parts): Buffer {
  const entries = of.metadata.map((e) => ({
    ...e,
    value: Array.isArray(e.value) ? [...e.value] : e.value,
  })) as MetadataEntry[]
  const list: TensorData[] = of.tensors.map((t) => ({ ...t, shape: [...t.shape] }))
  for (let n = 1 + draw(3); n > 0; n--) {
    const i = draw(entries.length)
    const entry = entries[i]
    const tensor = pick(draw, list)
    if (draw(3) > 0) {
      if (entry.type !== 'array') {
        const number = Number(pick(draw, EXTREMES))
        const value = pick(draw, [
          number & 0x7fffffff,
          draw(400),
          -1,
          '',
          'x',
          '\ufeff',
          '{% for x in y %}',
          '{{ a.b.c() }}',
          NaN,
          Infinity,
          0.5,
        ])
        const type = typeof value === 'string' ? 'string' : pick(draw, ['float32', 'float64', 'bool'] as const)
        entries[i] =
          draw(6) === 0
            ? ({ ...entries[draw(entries.length)], key: entry.key } as MetadataEntry)
            : { key: entry.key, type, value }
        if (Number.isInteger(value) && (value as number) >= 0)
          entries[i] = { key: entry.key, type: 'uint32', value: value as number }
      } else {
        const at = draw(entry.value.length)
        const other = pick(draw, entry.value)
        const odd =
          entry.of === 'string'
            ? pick(draw, [
                '',
                ' ',
                'a b',
                'a b c',
                '__proto__',
                'toString',
                '\u0000',
                'ÿÿ',
                '\ud800',
                'x'.repeat(1000),
                other,
              ])
            : draw(9)
        if (draw(4) === 0) entry.value.splice(at, draw(4))
        else if (draw(4) === 0) entry.value.splice(at, 0, odd)
        else entry.value[at] = odd
      }
      if (draw(8) === 0) entries.splice(draw(entries.length), 1)
    } else {
      switch (draw(6)) {
        case 0: tensor.type = draw(40); break
        case 1: tensor.shape[draw(tensor.shape.length)] = Number(pick(draw, EXTREMES.slice(0, 14))); break
        case 2: tensor.shape = Array.from({ length: draw(6) }, () => draw(130)); break
        case 3: tensor.bytes = pick(draw, [0, 32, 64, tensor.bytes + 32, 2 ** 33, 2 ** 50]); break
        case 4: tensor.name = pick(draw, ['', 'x', 'blk.0.attn_q.weight', 'blk.9.attn_q.weight', 'output.weight', 'n'.repeat(70), '__proto__', '\u0000']); break
        case 5: list.splice(draw(list.length), 1); break
      } // prettier-ignore
    }
  }
  return encodeGguf(entries, list, draw(10) === 0 ? pick(draw, [1, 8, 64, 4096]) : 32)
}

const mutated = (seed: number): Buffer => {
  const draw = draws(seed * 7919 + 1)
  draw(2)
  const of = draw(8) ? toy : typed
  return draw(2) ? mutatedBytes(draw, of) : mutatedMeaning(draw, of)
}

/** Halves that are infinite, NaN, the largest, the least, −0; the words of F32 and BF16 that they make are as odd. */
const WORDS = [0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff, 0x7bff, 0x0001, 0x8000]

/** Changes to the data: a tensor of drawn bytes, or blocks with odd words where types have their scales, at either end. */
function mutatedData(draw: Draw, of: Parts): Buffer {
  const file = Buffer.from(of.file)
  for (let n = 1 + draw(2); n > 0; n--) {
    const { data, type } = pick(draw, of.tensors)
    const start = of.file.indexOf(data)
    if (draw(4) === 0) for (let i = 0; i < data.length; i++) file[start + i] = draw(256)
    const { bytes } = TENSOR_TYPES[type]
    for (let m = draw(4); m > 0; m--)
      file.writeUInt16LE(
        pick(draw, WORDS),
        start + draw(data.length / bytes) * bytes + pick(draw, [0, Math.min(2, bytes - 2), bytes - 2]),
      )
  }
  return file
}

interface Answer {
  name?: string
  code?: string
  message?: string
  memory: number
}

/** A process of its own, with a small heap; any other end than an answer fails. */
async function alone(path: string): Promise<Answer> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=768', program, path], {
    timeout: 120_000,
  })
  return JSON.parse(stdout) as Answer
}

describe('hostile model files', function () {
  this.timeout(1_800_000)

  it('never do more than fail clearly: in one process', async () => {
    const path = join(folder, 'mutated.gguf')
    const count = alike(20_000, 1000)
    const results: Record<string, number> = {}
    const before = process.memoryUsage.rss() // other tests of this process may have left much
    for (let seed = 0; seed < count; seed++) {
      // A new file each time: one that is overwritten waits for the disk.
      rmSync(path, { force: true })
      writeFileSync(path, mutated(seed))
      let result = 'valid'
      try {
        await useModelFile(path, false)
      } catch (error) {
        const { name, code, message } = error as Error & { code?: string }
        assert.equal(name, 'ZslabError', `seed ${seed}: ${(error as Error).stack}`)
        assert.ok(code === 'file' || code === 'unsupported', `seed ${seed}: ${code} ${message}`)
        assert.ok(message.includes(path) && message.length < 1000, `seed ${seed}: ${message}`)
        result = code
      }
      results[result] = (results[result] ?? 0) + 1
      const grown = seed % 100 === 0 ? process.memoryUsage.rss() - before : 0
      assert.ok(grown < LIMIT, `seed ${seed}: ${grown} bytes more`)
    }
    // The mutations reach every way out, not only the first check.
    for (const result of ['valid', 'file', 'unsupported'])
      assert.ok(results[result] > count / 100, JSON.stringify(results))
  })

  it('never do more than fail clearly: each in a process of its own', async () => {
    const count = alike(200, 12)
    const one = async (seed: number) => {
      const path = join(folder, `alone-${seed % 2}.gguf`)
      writeFileSync(path, mutated(1_000_000 + seed))
      const { name, code, memory } = await alone(path)
      assert.ok(name === undefined || name === 'ZslabError', `seed ${seed}: ${name}`)
      assert.ok(code === undefined || ['file', 'unsupported', 'invalid'].includes(code), `seed ${seed}: ${code}`)
      assert.ok(memory < LIMIT, `seed ${seed}: ${memory} bytes`)
    }
    for (let seed = 0; seed < count; seed += 2) await Promise.all([one(seed), one(seed + 1)])
  })

  it('never do more than fail clearly: weights of every type, loaded and read', async () => {
    const path = join(folder, 'weights.gguf')
    const results: Record<string, number> = {}
    const count = alike(600, 60)
    for (let seed = 0; seed < count; seed++) {
      const draw = draws(seed * 7919 + 2)
      draw(2)
      rmSync(path, { force: true })
      writeFileSync(path, draw(4) ? mutatedData(draw, typed) : mutatedMeaning(draw, typed))
      let result = 'read'
      try {
        const model = await load(path, { progress: false, weights: pick(draw, ['file', 'float32', 'bfloat16']) })
        try {
          const policy = pick(draw, [fullCache(), zsmerge({ budget: 8, recent: 2, residual: 2 })])
          const run = await model.session({ policy }).generate('the note and 123, and the rest', { maxTokens: 3 })
          assert.ok(run.tokens.length > 0, `seed ${seed}`)
        } finally {
          model.dispose()
        }
      } catch (error) {
        const { name, code, message } = error as Error & { code?: string }
        assert.equal(name, 'ZslabError', `seed ${seed}: ${(error as Error).stack}`)
        assert.ok(['file', 'unsupported', 'internal', 'invalid'].includes(code!), `seed ${seed}: ${code} ${message}`)
        if (code === 'internal') assert.match(message, /finite logit|is infinite/, `seed ${seed}`)
        result = code!
      }
      results[result] = (results[result] ?? 0) + 1
    }
    for (const result of ['read', 'internal', 'file']) assert.ok(results[result] > count / 30, JSON.stringify(results))
  })

  const string = (text: string) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(bytes.length))
    return Buffer.concat([length, bytes])
  }
  /** A metadata array of `count` elements of GGUF type `type` with the bytes `body`. */
  const array = (key: string, type: number, count: number, body: Buffer) => {
    const head = Buffer.alloc(16)
    head.writeUInt32LE(9, 0)
    head.writeUInt32LE(type, 4)
    head.writeBigUInt64LE(BigInt(count), 8)
    return Buffer.concat([string(key), head, body])
  }
  /** A file of nothing but `arrays` of metadata. */
  const ofArrays = (name: string, arrays: Buffer[]) => {
    const head = Buffer.alloc(24)
    head.write('GGUF')
    head.writeUInt32LE(3, 4)
    head.writeBigUInt64LE(BigInt(arrays.length), 16)
    const path = join(folder, name)
    const file = openSync(path, 'w')
    for (const part of [head, ...arrays]) writeSync(file, part)
    closeSync(file)
    return path
  }
  const MILLION = 1_000_000

  it('may be as large as is let through: empty strings', async () => {
    const arrays = [0, 1].map((i) => array(`a${i}`, 8, MILLION, Buffer.alloc(8 * MILLION)))
    const answer = await alone(ofArrays('strings.gguf', arrays))
    assert.deepEqual([answer.code, answer.memory < LIMIT], ['file', true])
  })
  it('may be as large as is let through: long integers', async () => {
    const arrays = [0, 1, 2].map((i) => array(`a${i}`, 10, MILLION, Buffer.alloc(8 * MILLION, 0xff)))
    const answer = await alone(ofArrays('integers.gguf', arrays))
    assert.deepEqual([answer.code, answer.memory < LIMIT], ['file', true])
  })
  it('may be as large as is let through: a vocabulary', async () => {
    const letters = byteCharacters().slice(0, 64)
    const pairs = letters.flatMap((a) => letters.map((b) => [a, b]))
    const triples = pairs.flatMap(([a, b]) => letters.map((c) => [a + b, c]))
    const control = Array.from({ length: 8000 }, (_, i) => `<${i}>`.padEnd(32, String.fromCharCode(0x4e00 + i)))
    const merges = [...pairs, ...triples]
    const words = [...byteCharacters(), ...merges.map((m) => m.join('')), ...control]
    const changed = toy.metadata.map((e): MetadataEntry => {
      if (e.key === 'tokenizer.ggml.tokens') return { key: e.key, type: 'array', of: 'string', value: words }
      if (e.key === 'tokenizer.ggml.merges')
        return { key: e.key, type: 'array', of: 'string', value: merges.map((m) => m.join(' ')) }
      if (e.key === 'tokenizer.ggml.token_type')
        return {
          key: e.key,
          type: 'array',
          of: 'int32',
          value: words.map((_, i) => (i < words.length - control.length ? 1 : 3)),
        }
      return e
    })
    const path = join(folder, 'vocabulary.gguf')
    writeFileSync(path, encodeGguf(changed, toy.tensors))
    const answer = await alone(path)
    assert.equal(answer.code, undefined, answer.message)
    assert.ok(answer.memory < LIMIT, `${answer.memory} bytes`)
  })
})
