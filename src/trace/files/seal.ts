/**
 * A file's own SHA-256, within it: a mark of one length stands in its metadata, and the hash is that of all bytes with the mark left blank.
 * So what was cut, damaged or changed is told before any of it is parsed, whatever the format.
 */
import { createHash } from 'node:crypto'

const LEAD = 'zslab-sha256:'
const DIGITS = 64
/** Goes into the metadata of what sealed() is given. */
export const BLANK = LEAD + '0'.repeat(DIGITS)

/** Puts the hash in place of every BLANK in the pieces of a file, each within one of them. */
export function sealed(pieces: readonly Uint8Array[]): Buffer[] {
  const hash = createHash('sha256')
  const bytes = pieces.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))
  for (const piece of bytes) hash.update(piece)
  const digits = hash.digest('hex')
  for (const piece of bytes) for (const at of places(piece, BLANK)) piece.write(digits, at + LEAD.length, 'latin1')
  return bytes
}

/** undefined: there is no mark; false: the bytes are not those that were sealed. */
export function sealHolds(bytes: Buffer): boolean | undefined {
  const at = bytes.indexOf(LEAD, 0, 'latin1')
  if (at < 0) return undefined
  const digits = bytes.toString('latin1', at + LEAD.length, at + LEAD.length + DIGITS)
  return /^[0-9a-f]{64}$/.test(digits) && hashed(bytes, LEAD + digits) === digits
}

/** SHA-256 of `bytes` with BLANK for every `mark`. */
function hashed(bytes: Buffer, mark: string): string {
  const hash = createHash('sha256')
  let from = 0
  for (const at of places(bytes, mark)) {
    hash.update(bytes.subarray(from, at)).update(BLANK, 'latin1')
    from = at + mark.length
  }
  return hash.update(bytes.subarray(from)).digest('hex')
}

function places(bytes: Buffer, mark: string): number[] {
  const found: number[] = []
  for (let at = bytes.indexOf(mark, 0, 'latin1'); at >= 0; at = bytes.indexOf(mark, at + mark.length, 'latin1'))
    found.push(at)
  return found
}
