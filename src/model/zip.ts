/** Takes one entry out of a zip archive, streaming and bounded. Stored and deflated entries, no zip64: what wheels are. */
import { createReadStream, createWriteStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'

const END = 0x06054b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50
const MAX_CENTRAL_BYTES = 2 ** 24

interface Entry {
  method: number
  packed: number
  bytes: number
  offset: number
}

/**
 * Writes entry `name` of the archive at `path` to the new file `target`; every chunk also goes to `each`.
 * Throws a plain Error that says what is wrong with the archive, or the file system's own error.
 */
export async function extractEntry(
  path: string,
  name: string,
  target: string,
  options: { each?: (chunk: Buffer) => void; most: number; signal?: AbortSignal },
): Promise<void> {
  const archive = await open(path, 'r')
  try {
    const entry = await find(archive, name)
    if (entry.bytes > options.most)
      throw new Error(`${name} has ${entry.bytes} bytes, expected at most ${options.most}`)
    if (entry.packed === 0) throw new Error(`${name} is empty`)
    if (entry.method !== 0 && entry.method !== 8)
      throw new Error(`${name} is packed by method ${entry.method}; 0 and 8 are read`)
    const start = entry.offset + 30
    const local = await bytesAt(archive, entry.offset, 30)
    if (local.readUInt32LE(0) !== LOCAL) throw new Error(`${name} has no local header`)
    const from = start + local.readUInt16LE(26) + local.readUInt16LE(28)
    const packed = createReadStream(path, { start: from, end: from + entry.packed - 1, highWaterMark: 2 ** 20 })
    let count = 0
    const watch = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        count += chunk.length
        if (count > entry.bytes)
          return done(new Error(`${name} unpacks to more than the ${entry.bytes} bytes it claims`))
        options.each?.(chunk)
        done(null, chunk)
      },
    })
    // Flushed before it is renamed into place: a power cut must not leave a name without its contents.
    const into = createWriteStream(target, { flush: true, highWaterMark: 2 ** 20 })
    const steps =
      entry.method === 8 ? [packed, createInflateRaw({ chunkSize: 2 ** 18 }), watch, into] : [packed, watch, into]
    await pipeline(steps as [Readable, Transform], { signal: options.signal })
    if (count !== entry.bytes) throw new Error(`${name} ends after ${count} of ${entry.bytes} bytes`)
  } finally {
    await archive.close()
  }
}

async function bytesAt(archive: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await archive.read(Buffer.alloc(length), 0, length, position)
  if (bytesRead !== length) throw new Error('the archive is cut short')
  return buffer
}

async function find(archive: FileHandle, name: string): Promise<Entry> {
  const { size } = await archive.stat()
  const tail = await bytesAt(archive, Math.max(0, size - 65_557), Math.min(size, 65_557))
  let end = tail.length - 22
  while (end >= 0 && tail.readUInt32LE(end) !== END) end--
  if (end < 0) throw new Error('the archive has no directory: it is cut short or no zip file')
  const length = tail.readUInt32LE(end + 12)
  const start = tail.readUInt32LE(end + 16)
  if (length > MAX_CENTRAL_BYTES || start + length > size) throw new Error('the archive has a senseless directory')
  const directory = await bytesAt(archive, start, length)
  for (let at = 0; at + 46 <= length;) {
    if (directory.readUInt32LE(at) !== CENTRAL) break
    const nameLength = directory.readUInt16LE(at + 28)
    if (directory.toString('utf8', at + 46, at + 46 + nameLength) === name) {
      const entry = {
        method: directory.readUInt16LE(at + 10),
        packed: directory.readUInt32LE(at + 20),
        bytes: directory.readUInt32LE(at + 24),
        offset: directory.readUInt32LE(at + 42),
      }
      if (entry.offset + 30 + entry.packed > size) throw new Error(`${name} lies outside the archive`)
      return entry
    }
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  throw new Error(`the archive holds no ${name}`)
}
