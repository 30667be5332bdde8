/**
 * Reads the header of one GGUF file and checks everything that native code will rely on: names, types, shapes, alignment and
 * offsets against the file's size. The library parses, gguf-scan.ts bounds what it may be given; tensor data is never read here.
 * What users give may be a part of a model: gguf-parts.ts reads them together.
 */
import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { gguf as parseGguf } from '@huggingface/gguf'
import { shown, ZslabError } from '../errors.js'
import { damaged, scanHeader, type HeaderScan } from './gguf-scan.js'

export type MetadataValue = string | number | bigint | boolean | (string | number | bigint | boolean)[]

/** One tensor; the fields of zs_tensor in native/include/zslab/zslab.h. */
export interface GgufTensor {
  name: string
  /** GGUF's number, a key of TENSOR_TYPES. */
  type: number
  /** One or two dimensions in GGUF order: shape[0] is the fast one (inputs), shape[1] the rows (outputs). */
  shape: number[]
  /** Bytes from the start of its file. */
  offset: number
  bytes: number
  /** Index of its file in the model's paths. */
  file: number
}

export interface GgufFile {
  /** Absolute; of a model in several files the first. */
  path: string
  /** All files of the model, in order. */
  paths: string[]
  /** Size of all of them. */
  bytes: number
  version: number
  /** Every key once; 64-bit integers are numbers where they fit exactly. No prototype. */
  metadata: Readonly<Record<string, MetadataValue>>
  tensors: GgufTensor[]
}

interface TensorType {
  name: string
  /** Elements per block and bytes per block. */
  block: number
  bytes: number
}

/** The types that are read, by GGUF's numbers (native/model/quants.cpp has the same). */
export const TENSOR_TYPES: Readonly<Record<number, TensorType>> = {
  0: { name: 'F32', block: 1, bytes: 4 },
  1: { name: 'F16', block: 1, bytes: 2 },
  2: { name: 'Q4_0', block: 32, bytes: 18 },
  3: { name: 'Q4_1', block: 32, bytes: 20 },
  6: { name: 'Q5_0', block: 32, bytes: 22 },
  7: { name: 'Q5_1', block: 32, bytes: 24 },
  8: { name: 'Q8_0', block: 32, bytes: 34 },
  12: { name: 'Q4_K', block: 256, bytes: 144 },
  13: { name: 'Q5_K', block: 256, bytes: 176 },
  14: { name: 'Q6_K', block: 256, bytes: 210 },
  30: { name: 'BF16', block: 1, bytes: 2 },
}

/** Names of the other types that files hold, for the message that refuses them. */
// prettier-ignore
const OTHER_TYPES: Record<number, string> = {
  9: 'Q8_1', 10: 'Q2_K', 11: 'Q3_K', 15: 'Q8_K', 16: 'IQ2_XXS', 17: 'IQ2_XS', 18: 'IQ3_XXS', 19: 'IQ1_S', 20: 'IQ4_NL',
  21: 'IQ3_S', 22: 'IQ2_S', 23: 'IQ4_XS', 24: 'I8', 25: 'I16', 26: 'I32', 27: 'I64', 28: 'F64', 29: 'IQ1_M', 34: 'TQ1_0',
  35: 'TQ2_0', 39: 'MXFP4', 40: 'NVFP4', 41: 'Q1_0', 42: 'Q2_0',
}
const MAX_TENSOR_NAME = 63 // ggml's own limit, without its closing zero
const MAX_ELEMENTS = 2 ** 40

/**
 * The header of the file at `path`, be it a whole model or a part.
 * Errors: code 'file' (missing, not a file, damaged, cut short), 'unsupported' (tensor type, version, byte order).
 */
export async function readOneGguf(path: string): Promise<GgufFile> {
  const full = resolve(path)
  const { scan, bytes } = scanned(full)
  let parsed: Awaited<ReturnType<typeof parseGguf>>
  try {
    // An absolute path never looks like a URL, so the library cannot reach for the network.
    parsed = await parseGguf(full, { allowLocalFile: true })
  } catch (error) {
    throw new ZslabError(
      'file',
      `${full}: its header cannot be read (${(error as Error).message}): download or convert it again`,
      { cause: error },
    )
  }
  if (parsed.tensorInfos.length !== scan.tensors || parsed.tensorInfoByteRange[1] !== scan.end)
    throw damaged(full, 'a header that changed while it was read', 'a file at rest', 'try again')
  const metadata = metadataOf(full, parsed.metadata as Record<string, unknown>, scan)
  const alignment = alignmentOf(full, metadata)
  const dataOffset = Math.ceil(scan.end / alignment) * alignment
  const tensors = parsed.tensorInfos.map((info) => tensorOf(full, info, dataOffset, alignment, bytes))
  checkTogether([full], tensors)
  return { path: full, paths: [full], bytes, version: scan.version, metadata, tensors }
}

/** Opens and scans `path`, turning what the file system says into what to do. */
function scanned(path: string): { scan: HeaderScan; bytes: number } {
  let file: number | undefined
  try {
    // Asked before opening: opening a named pipe would wait for ever.
    if (!statSync(path).isFile())
      throw damaged(path, 'something that is no regular file', 'a GGUF file', 'give the path of the .gguf file itself')
    file = openSync(path, 'r')
    return { scan: scanHeader(path, file), bytes: fstatSync(file).size }
  } catch (error) {
    if (error instanceof ZslabError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    const advice =
      code === 'ENOENT'
        ? 'there is no such file: check the path'
        : code === 'EACCES'
          ? 'it may not be read: check its permissions'
          : message
    throw new ZslabError('file', `cannot read the model ${shown(path)}: ${advice}`, { cause: error })
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

function metadataOf(path: string, parsed: Record<string, unknown>, scan: HeaderScan): Record<string, MetadataValue> {
  const metadata: Record<string, MetadataValue> = Object.create(null)
  const plain = (value: unknown) =>
    typeof value === 'bigint' && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
      ? Number(value)
      : value
  for (const key of scan.keys) {
    const value = parsed[key]
    metadata[key] = (Array.isArray(value) ? value.map(plain) : plain(value)) as MetadataValue
  }
  for (const { key, index, text } of scan.crossing) {
    const value = metadata[key]
    if (index < 0) metadata[key] = text
    else if (Array.isArray(value)) value[index] = text
    else throw damaged(path, `a header that changed while it was read (${key})`, 'a file at rest', 'try again')
  }
  return metadata
}

function alignmentOf(path: string, metadata: Readonly<Record<string, MetadataValue>>): number {
  const value = metadata['general.alignment'] ?? 32
  if (
    typeof value !== 'number' ||
    !Number.isInteger(value) ||
    value < 1 ||
    value > 65536 ||
    (value & (value - 1)) !== 0
  )
    throw damaged(path, `general.alignment ${shown(value)}`, 'a power of two from 1 to 65536')
  return value
}

interface TensorInfo {
  name: string
  shape: bigint[]
  dtype: number
  offset: bigint
}

function tensorOf(
  path: string,
  info: TensorInfo,
  dataOffset: number,
  alignment: number,
  fileBytes: number,
): GgufTensor {
  const { name, dtype: type } = info
  const called = `tensor ${shown(name)}`
  if (!/^[\x21-\x7e]+$/.test(name) || name.length > MAX_TENSOR_NAME)
    throw damaged(path, called, `a name of 1 to ${MAX_TENSOR_NAME} printable ASCII characters`)
  const kind = TENSOR_TYPES[type]
  if (!kind) {
    const supported = Object.values(TENSOR_TYPES)
      .map((t) => t.name)
      .join(', ')
    throw new ZslabError(
      'unsupported',
      `${path}: ${called} has type ${OTHER_TYPES[type] ?? `number ${type}`}; supported are ${supported}: convert the model to one of these (llama-quantize)`,
    )
  }
  const shape = info.shape.map(Number)
  const shapeText = `[${info.shape.join(', ')}]`
  if (shape.some((n) => n < 1 || !Number.isSafeInteger(n)))
    throw damaged(path, `shape ${shapeText} of ${called}`, 'dimensions of at least 1')
  while (shape.length > 2 && shape[shape.length - 1] === 1) shape.pop()
  if (shape.length > 2)
    throw new ZslabError(
      'unsupported',
      `${path}: ${called} has shape ${shapeText}; one or two dimensions are supported`,
    )
  const elements = shape.reduce((a, b) => a * b, 1)
  if (elements > MAX_ELEMENTS)
    throw damaged(path, `shape ${shapeText} of ${called}`, `at most ${MAX_ELEMENTS} elements`)
  if (shape[0] % kind.block !== 0)
    throw damaged(
      path,
      `shape ${shapeText} of ${called}`,
      `rows of a multiple of ${kind.block} elements, the block of ${kind.name}`,
    )
  const bytes = (elements / kind.block) * kind.bytes
  if (info.offset % BigInt(alignment) !== 0n)
    throw damaged(path, `offset ${info.offset} of ${called}`, `a multiple of ${alignment}`)
  if (info.offset > BigInt(fileBytes))
    throw damaged(path, `offset ${info.offset} of ${called}`, `one inside the file (${fileBytes} bytes)`)
  const offset = dataOffset + Number(info.offset)
  if (offset + bytes > fileBytes)
    throw damaged(
      path,
      `a file of ${fileBytes} bytes`,
      `${offset + bytes} for ${called}`,
      'it is cut short; download or convert it again',
    )
  return { name, type, shape, offset, bytes, file: 0 }
}

/** What only shows between tensors: names given twice, data that overlaps. Errors name the file, one of `paths`. */
export function checkTogether(paths: readonly string[], tensors: readonly GgufTensor[]): void {
  const names = new Set<string>()
  for (const { name, file } of tensors) {
    if (names.has(name)) throw damaged(paths[file], `tensor ${shown(name)} twice`, 'every tensor once')
    names.add(name)
  }
  const inOrder = [...tensors].sort((a, b) => a.file - b.file || a.offset - b.offset)
  for (let i = 1; i < inOrder.length; i++) {
    const [before, after] = [inOrder[i - 1], inOrder[i]]
    if (before.file === after.file && before.offset + before.bytes > after.offset)
      throw damaged(
        paths[after.file],
        `tensor ${shown(before.name)} running into ${shown(after.name)}`,
        'tensors that do not overlap',
      )
  }
}
