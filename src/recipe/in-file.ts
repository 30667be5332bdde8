/** The card in a figure's file, whatever its format. */
import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { ZslabError } from '../errors.js'
import { checkedCard, type FigureCard } from './card.js'

type Reader = (bytes: Buffer) => string | undefined

/** By the file's ending, what finds the card's JSON; undefined: there is none. */
const READERS: Readonly<Record<string, Reader>> = {
  '.svg': (bytes) => elementIn(bytes.toString('utf8')),
  '.html': (bytes) => elementIn(bytes.toString('utf8')),
  // In its XMP, which is never compressed.
  '.pdf': (bytes) => elementIn(bytes.toString('utf8')),
  '.png': (bytes) => chunkIn(bytes),
  '.json': (bytes) => {
    const found = JSON.parse(bytes.toString('utf8')) as { card?: unknown } | null
    return JSON.stringify(found?.card)
  },
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Of XML, or of a page; of a file that was cut off within it what is left. */
function elementIn(text: string): string | undefined {
  const [, content] = /<zslab:card\b[^>]*>([^<]*)(?:<\/zslab:card>|$)/.exec(text) ?? []
  return content?.replace(/&(\w+);/g, (all, name: string) => ENTITIES[name] ?? all)
}

/** Of a PNG's chunk with the card. */
export const KEYWORD = 'zslab:card'

/** Of the chunk iTXt that has the card: keyword, 0, not compressed, no language, no keyword in it, text. */
function chunkIn(png: Buffer): string | undefined {
  for (let at = 8; at + 8 <= png.length;) {
    const length = png.readUInt32BE(at)
    const data = png.subarray(at + 8, at + 8 + length)
    const head = Buffer.from(`${KEYWORD}\0\0\0\0\0`)
    if (png.toString('latin1', at + 4, at + 8) === 'iTXt' && data.subarray(0, head.length).equals(head))
      return data.toString('utf8', head.length)
    at += 12 + length
  }
  return undefined
}

/** Errors: 'invalid' for another ending, 'file' for a file without a card, with a broken one or one that is too old or too new. */
export async function cardInFile(path: string): Promise<FigureCard> {
  const read = READERS[extname(path).toLowerCase()]
  if (!read)
    throw new ZslabError(
      'invalid',
      `expected a figure's file, ${Object.keys(READERS).join(', ')}, but received ${path}`,
    )
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    throw new ZslabError('file', `${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  let found: unknown
  try {
    const json = read(bytes)
    found = json === undefined ? undefined : JSON.parse(json)
  } catch (error) {
    throw new ZslabError(
      'file',
      `${path}: its card is broken (${(error as Error).message}): take the file as it was saved`,
    )
  }
  if (found === undefined)
    throw new ZslabError(
      'file',
      `${path} has no card: it was not written by figure.save() of zslab, by one before figures had cards, or by a program that leaves metadata out`,
    )
  return checkedCard(found, path)
}
