/** Writes GGUF 3 files, little-endian: for the toy and bench models and for tests that need a file of their own making. */

/** GGUF's value types by their numbers. */
// prettier-ignore
export const VALUE_TYPES = {
  uint8: 0, int8: 1, uint16: 2, int16: 3, uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9, uint64: 10, int64: 11, float64: 12,
} as const

export type ValueType = keyof typeof VALUE_TYPES
type Scalar = string | number | bigint | boolean

/** [key, type, value]; an array gives its elements' type in `of`. */
export type MetadataEntry =
  | { key: string; type: Exclude<ValueType, 'array'>; value: Scalar }
  | { key: string; type: 'array'; of: Exclude<ValueType, 'array'>; value: Scalar[] }

export interface TensorHeader {
  name: string
  /** GGUF's number. */
  type: number
  shape: number[]
  /** Size of the data in bytes. */
  bytes: number
}

export interface TensorData extends TensorHeader {
  data: Uint8Array
}

class Bytes {
  private parts: Buffer[] = []
  length = 0
  add(part: Buffer): this {
    this.parts.push(part)
    this.length += part.length
    return this
  }
  value(type: Exclude<ValueType, 'array'>, value: Scalar): this {
    const b = Buffer.alloc(8)
    const n = Number(value)
    switch (type) {
      case 'bool':
        return this.add(Buffer.from([value ? 1 : 0]))
      case 'uint8':
        return this.add(b.subarray(0, b.writeUInt8(n)))
      case 'int8':
        return this.add(b.subarray(0, b.writeInt8(n)))
      case 'uint16':
        return this.add(b.subarray(0, b.writeUInt16LE(n)))
      case 'int16':
        return this.add(b.subarray(0, b.writeInt16LE(n)))
      case 'uint32':
        return this.add(b.subarray(0, b.writeUInt32LE(n)))
      case 'int32':
        return this.add(b.subarray(0, b.writeInt32LE(n)))
      case 'float32':
        return this.add(b.subarray(0, b.writeFloatLE(n)))
      case 'float64':
        return this.add(b.subarray(0, b.writeDoubleLE(n)))
      case 'uint64':
        return this.add(b.subarray(0, b.writeBigUInt64LE(BigInt(value))))
      case 'int64':
        return this.add(b.subarray(0, b.writeBigInt64LE(BigInt(value))))
      case 'string': {
        const text = Buffer.from(String(value), 'utf8')
        return this.value('uint64', text.length).add(text)
      }
    }
  }
  done(): Buffer {
    return Buffer.concat(this.parts)
  }
}

const aligned = (n: number, alignment: number) => Math.ceil(n / alignment) * alignment

/** Offsets of the tensors' data from where the data begins, in the order given. */
export function tensorOffsets(tensors: readonly TensorHeader[], alignment = 32): number[] {
  let next = 0
  return tensors.map(({ bytes }) => {
    const offset = next
    next = aligned(offset + bytes, alignment)
    return offset
  })
}

/** The header, padded to where the first tensor's data begins. */
export function encodeHeader(
  metadata: readonly MetadataEntry[],
  tensors: readonly TensorHeader[],
  alignment = 32,
): Buffer {
  const out = new Bytes()
  out.add(Buffer.from('GGUF')).value('uint32', 3).value('uint64', tensors.length).value('uint64', metadata.length)
  for (const entry of metadata) {
    out.value('string', entry.key).value('uint32', VALUE_TYPES[entry.type])
    if (entry.type !== 'array') out.value(entry.type, entry.value)
    else {
      out.value('uint32', VALUE_TYPES[entry.of]).value('uint64', entry.value.length)
      for (const element of entry.value) out.value(entry.of, element)
    }
  }
  const offsets = tensorOffsets(tensors, alignment)
  tensors.forEach(({ name, type, shape }, i) => {
    out.value('string', name).value('uint32', shape.length)
    for (const dimension of shape) out.value('uint64', dimension)
    out.value('uint32', type).value('uint64', offsets[i])
  })
  return out.add(Buffer.alloc(aligned(out.length, alignment) - out.length)).done()
}

/**
 * The model in as many files as `sizes` has numbers, each with so many of the tensors, as llama-gguf-split writes them: the metadata
 * in the first, what says that they belong together in each. Name them NAME-00001-of-0000N.gguf and so on.
 */
export function encodeParts(
  metadata: readonly MetadataEntry[],
  tensors: readonly TensorData[],
  sizes: readonly number[],
): Buffer[] {
  let from = 0
  return sizes.map((size, number) => {
    const together: MetadataEntry[] = [
      { key: 'split.no', type: 'uint16', value: number },
      { key: 'split.count', type: 'uint16', value: sizes.length },
      { key: 'split.tensors.count', type: 'int32', value: tensors.length },
    ]
    return encodeGguf(number ? together : [...metadata, ...together], tensors.slice(from, (from += size)))
  })
}

/** The whole file. */
export function encodeGguf(metadata: readonly MetadataEntry[], tensors: readonly TensorData[], alignment = 32): Buffer {
  const parts: Uint8Array[] = [encodeHeader(metadata, tensors, alignment)]
  for (const { data } of tensors) parts.push(data, Buffer.alloc(aligned(data.length, alignment) - data.length))
  return Buffer.concat(parts)
}
