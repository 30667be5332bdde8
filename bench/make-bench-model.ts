/**
 * Makes the F16 file that benchmarks give to llama.cpp: the default model (or another GGUF file) with every matrix decoded to
 * F16, vectors to F32, and the same metadata. `npx tsx bench/make-bench-model.ts TARGET.gguf [SOURCE.gguf | NAME]`.
 */
import { closeSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import { gguf as parse } from '@huggingface/gguf'
import { openModelFile } from '../src/model/index.js'
import { TENSOR_TYPES, type GgufTensor } from '../src/model/gguf.js'
import {
  encodeHeader,
  VALUE_TYPES,
  type MetadataEntry,
  type TensorHeader,
  type ValueType,
} from '../scripts/gguf-writer.js'
import { decode, encode } from '../scripts/quants.js'

const [F32, F16] = [0, 1]
/** llama.cpp's name for "mostly F16" in general.file_type. */
const FILE_TYPE_F16 = 1

const typeName = (number: number) => Object.entries(VALUE_TYPES).find(([, n]) => n === number)![0] as ValueType

export async function makeBenchModel(target: string, source: string): Promise<{ bytes: number; tensors: number }> {
  const { path, gguf } = await openModelFile(source)
  // Our metadata has forgotten its types (uint32 or int64); llama.cpp has not.
  const { typedMetadata } = await parse(path, { allowLocalFile: true, typedMetadata: true })
  const typed = typedMetadata as Record<string, { type: number; subType?: number }>
  const own = Object.entries(gguf.metadata).filter(([key]) => !key.startsWith('split.'))
  const metadata = own.map(([key, value]) => {
    const type = typeName(typed[key].type)
    if (type === 'array') return { key, type, of: typeName(typed[key].subType!), value } as MetadataEntry
    return { key, type, value: key === 'general.file_type' ? FILE_TYPE_F16 : value } as MetadataEntry
  })
  const alignment = Number(gguf.metadata['general.alignment'] ?? 32)
  const headers: TensorHeader[] = gguf.tensors.map(({ name, shape }) => {
    const type = shape.length === 1 ? F32 : F16
    return { name, type, shape, bytes: shape.reduce((a, b) => a * b, 1) * TENSOR_TYPES[type].bytes }
  })

  const temporary = `${target}.${process.pid}`
  const [from, to] = [gguf.paths.map((one) => openSync(one, 'r')), openSync(temporary, 'w')]
  try {
    let bytes = writeSync(to, encodeHeader(metadata, headers, alignment))
    gguf.tensors.forEach((tensor, i) => {
      bytes += writeAll(to, encode(headers[i].type, decode(tensor.type, dataOf(from[tensor.file], tensor))))
      bytes += writeSync(to, Buffer.alloc((alignment - (bytes % alignment)) % alignment))
    })
    closeSync(to)
    renameSync(temporary, target)
    return { bytes, tensors: headers.length }
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    from.forEach((file) => closeSync(file))
  }
}

function dataOf(file: number, { offset, bytes, name }: GgufTensor): Buffer {
  const data = Buffer.alloc(bytes)
  if (readSync(file, data, 0, bytes, offset) !== bytes) throw new Error(`cannot read all of ${name}`)
  return data
}

function writeAll(file: number, data: Uint8Array): number {
  for (let at = 0; at < data.length;) at += writeSync(file, data, at)
  return data.length
}

if (import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const [target, source = 'smollm2-135m'] = process.argv.slice(2)
  if (!target) {
    console.error('usage: npx tsx bench/make-bench-model.ts TARGET.gguf [SOURCE.gguf | NAME]')
    process.exit(2)
  }
  const { bytes, tensors } = await makeBenchModel(target, source)
  console.log(`${target}: ${bytes} bytes, ${tensors} tensors`)
}
