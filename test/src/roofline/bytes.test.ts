/** The byte model: beside the kernels' own, beside numbers counted by hand, beside what caches allocate; and how it grows. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { createCache, fullCache, zsmerge, type Policy, type Storage } from '../../../src/index.js'
import { projectRoot } from '../../../src/native/binding.js'
import {
  decodeBytes,
  mergeBytes,
  PARTS,
  sequenceMemory,
  stepBytes,
  upkeepBytes,
  WEIGHT_BYTES,
  WEIGHTS,
  weightsMemory,
  type Slots,
} from '../../../src/roofline/bytes.js'
import { TENSOR_TYPES } from '../../../src/model/gguf.js'
import { fullSlots } from '../../../src/roofline/asked.js'
import { parametersOf, SHAPES } from '../../../src/roofline/shapes.js'
import { draws } from '../model/files.js'
import { alike } from '../../scale.js'
import { anyShape } from './shapes.js'

const STORAGES: Storage[] = ['float32', 'float16', 'bfloat16']

/** Shapes on stdin → bytes of each, and the sizes of the entries of work lists. */
const PROGRAM = `
#include <cstdio>
#include "cuda/test/uniform.h"
#include "cuda/upkeep.h"
int main() {
  using namespace zs::cuda;
  std::printf("%zu %zu %zu %zu\\n", sizeof(zs::DecodeTask), sizeof(MergeTask), sizeof(UpkeepTask), sizeof(UpkeepChunk));
  UniformShape s;
  while (std::scanf("%d %d %d %d %d %d", &s.storage, &s.sequences, &s.kv_heads, &s.group, &s.d, &s.slots) == 6)
    std::printf("%lld\\n", static_cast<long long>(s.decode_bytes()));
}
`

function native(input: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-bytes-'))
  try {
    const [source, program] = [join(folder, 'bytes.cpp'), join(folder, 'bytes')]
    writeFileSync(source, PROGRAM)
    const include = ['native', 'native/include'].flatMap((path) => ['-I', join(projectRoot, path)])
    const compiler = process.env.CXX ?? 'c++'
    const compiled = spawnSync(compiler, ['-std=c++17', ...include, source, '-o', program], { encoding: 'utf8' })
    assert.equal(compiled.status, 0, compiled.stderr)
    return spawnSync(program, { input, encoding: 'utf8' }).stdout.trim().split('\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('byte model', function () {
  this.timeout(300_000)

  it('is that of native/cuda, which the emulation holds the kernels to', () => {
    const next = draws(7)
    const shapes = Array.from({ length: alike(5000, 500) }, (_, i) => ({
      storage: i % 3,
      sequences: 1 + next(9),
      kvHeads: 1 + next(40),
      group: 1 + next(8),
      headDim: 2 + 2 * next(128),
      slots: [1, 255, 256, 257, 1 + next(5000)][next(5)],
    }))
    const [sizes, ...found] = native(shapes.map((shape) => Object.values(shape).join(' ')).join('\n'))
    assert.equal(sizes, '112 72 176 64', 'entries of work lists have other sizes now: TASK in src/roofline/bytes.ts')
    assert.equal(found.length, shapes.length)
    shapes.forEach(({ storage, sequences, kvHeads, group, headDim, slots }, i) => {
      const bytes = decodeBytes({ headDim, group, storage: STORAGES[storage] }, fullSlots(slots))
      const sum = bytes.keys + bytes.values + bytes.exponentials + bytes.partials
      assert.equal(sequences * kvHeads * sum, Number(found[i]), JSON.stringify(shapes[i]))
    })
  })

  it('with merged slots and upkeep as counted by hand', () => {
    const head = { headDim: 72, group: 3, storage: 'bfloat16' as const }
    // Values are padded to 80; 10 merged slots are a chunk of their own, 290 others two.
    const slots: Slots = { slots: 300, merged: 10, scored: true, over: true }
    assert.deepEqual(decodeBytes(head, slots), { keys: 44_640, values: 49_600, exponentials: 3600, partials: 5920 })
    assert.equal(mergeBytes(head, slots), 4788)
    assert.deepEqual(upkeepBytes(head, slots), { scores: 6296, leaving: 5680 })
    assert.deepEqual(upkeepBytes(head, { ...slots, over: false }), { scores: 6296, leaving: 0 })
    assert.equal(upkeepBytes(head, { ...slots, merged: 0 }).leaving, 1256)
    assert.deepEqual(upkeepBytes(head, fullSlots(300)), { scores: 0, leaving: 0 })
  })

  it('of a whole step as counted by hand', () => {
    const model = SHAPES.find(({ name }) => name === 'smollm2-135m')!
    const bytes = stepBytes({ model, weights: 'bfloat16', storage: 'float32', batch: 2 }, fullSlots(512))
    // 2 sequences × 30 layers × 3 kv heads of 64; 9 query heads; two chunks.
    assert.deepEqual(bytes, {
      weights: 2 * (134_515_008 + 2 * 576),
      keys: 180 * 512 * 64 * 4,
      values: 180 * 512 * 64 * 4,
      exponentials: 180 * 3 * 512 * 4,
      partials: 180 * (2 * (3 * (64 + 2 + 64) * 4 + 112) + (2 * 3 * (64 + 3) + 2 * 3 * 64) * 4 + 72),
      append: 180 * 2 * 64 * 4,
      scores: 0,
      leaving: 0,
    })
  })

  it('knows how many parameters published models have', () => {
    const published = {
      'llama2-7b': 6_738_415_616,
      'llama2-13b': 13_015_864_320,
      'llama2-70b': 68_976_648_192,
      'llama3-8b': 8_030_261_248,
      'llama3.1-8b': 8_030_261_248,
      'llama3.1-70b': 70_553_706_496,
      'llama3.2-1b': 1_235_814_400,
      'llama3.2-3b': 3_212_749_824,
      'mistral-7b': 7_241_732_096,
      'qwen2.5-0.5b': 494_032_768,
      'qwen2.5-7b': 7_615_616_512,
      'smollm2-135m': 134_515_008,
      'smollm2-360m': 361_821_120,
      'smollm2-1.7b': 1_711_376_384,
    }
    assert.deepEqual(Object.fromEntries(SHAPES.map((shape) => [shape.name, parametersOf(shape).total])), published)
  })

  it('of memory is what caches allocate, room to spare apart', async () => {
    const [layers, heads, kvHeads, headDim, tokens] = [2, 4, 2, 24, 700]
    const model = { ...SHAPES[0], layers, heads, kvHeads, headDim }
    const next = draws(3)
    const vectors = (count: number) =>
      Float32Array.from({ length: count * tokens * headDim }, () => next(1000) / 500 - 1)
    for (const storage of STORAGES)
      for (const [policy, slots] of [
        [fullCache(), fullSlots(tokens)],
        [zsmerge({ budget: 200, residual: 12 }), { slots: 200, merged: 12, scored: true, over: true }],
      ] as [Policy, Slots][]) {
        const cache = createCache({ layers, heads, kvHeads, headDim, storage, policy, origins: false })
        for (let layer = 0; layer < layers; layer++)
          await cache.prefill(layer, vectors(heads), vectors(kvHeads), vectors(kvHeads))
        const { total, byRegion } = cache.bytes()
        const held = total - byRegion.spare
        const step = { model, weights: 'float32' as const, storage, batch: 1 }
        const predicted = sequenceMemory(step, slots)
        assert.ok(
          predicted <= held && held <= 1.03 * predicted + 4096,
          `${policy.name}, ${storage}: ${held}, ${predicted}`,
        )
        cache.dispose()
      }
  })

  it('has the weights of the types that files may have', () => {
    const named: Record<string, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }
    const ofFiles = Object.values(TENSOR_TYPES).map(({ name, block, bytes }) => [
      named[name] ?? name.toLowerCase(),
      bytes / block,
    ])
    assert.deepEqual(WEIGHT_BYTES, Object.fromEntries(ofFiles))
    assert.deepEqual(Object.keys(WEIGHT_BYTES), [...WEIGHTS])
  })

  it('never shrinks with slots, batch or merged slots, and is shared out by devices', () => {
    const sum = (bytes: Record<string, number>) => PARTS.reduce((all, part) => all + bytes[part], 0)
    const numbers = fc.record({
      model: anyShape,
      weights: fc.constantFrom(...WEIGHTS),
      storage: fc.constantFrom(...STORAGES),
      batch: fc.integer({ min: 1, max: 300 }),
      slots: fc.integer({ min: 2, max: 100_000 }),
      merged: fc.integer({ min: 0, max: 1000 }),
    })
    const property = fc.property(numbers, ({ slots, merged, ...step }) => {
      const of = { slots, merged: Math.min(merged, slots - 1), scored: true, over: true }
      const bytes = stepBytes(step, of)
      const more = stepBytes(step, { ...of, slots: slots + 1 })
      for (const part of PARTS) assert.ok(Number.isFinite(bytes[part]) && bytes[part] >= 0 && more[part] >= bytes[part])
      assert.ok(more.keys > bytes.keys && more.scores > bytes.scores)
      assert.ok(sum(stepBytes(step, { ...of, scored: false })) < sum(bytes))
      const larger = stepBytes({ ...step, batch: step.batch + 1 }, of)
      assert.ok(sum(larger) > sum(bytes) && sum(larger) / (step.batch + 1) < sum(bytes) / step.batch)
      const devices = step.model.kvHeads
      const part = stepBytes({ ...step, devices }, of)
      for (const name of PARTS) assert.ok(part[name] * devices >= bytes[name] * (1 - 1e-12))
      assert.ok(Math.abs(part.keys * devices - bytes.keys) <= 1e-9 * bytes.keys)
      assert.ok(weightsMemory({ ...step, devices }) <= weightsMemory(step))
      assert.ok(sequenceMemory(step, of) < sequenceMemory(step, { ...of, slots: slots + 1 }))
    })
    fc.assert(property, { seed: 5, numRuns: alike(2000, 200) })
  })
})
