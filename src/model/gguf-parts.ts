/**
 * A model's GGUF file, or all files of a model that was split (NAME-00001-of-00003.gguf …, as llama-gguf-split writes them: the first
 * has the metadata, each has its share of the tensors) read as one.
 */
import { existsSync } from 'node:fs'
import { ZslabError } from '../errors.js'
import { checkTogether, readOneGguf, type GgufFile } from './gguf.js'
import { damaged } from './gguf-scan.js'

const AGAIN = 'download the parts of one model into one folder again'
const MERGE = 'or give the file that `llama-gguf-split --merge FIRST-PART MERGED.gguf` makes of them'

/**
 * The header of the model that `path` is, or is a part of (any part will do).
 * Errors: those of readOneGguf; 'file' also for a part that is missing or belongs to another model. They name the part.
 */
export async function readGguf(path: string): Promise<GgufFile> {
  const given = await readOneGguf(path)
  const count = whole(given, 'split.count')
  if (count === undefined || count <= 1) return given
  const parts: GgufFile[] = []
  for (const part of partsOf(given, count)) {
    if (part !== given.path && !existsSync(part))
      throw new ZslabError(
        'file',
        `${given.path} is a part of a model in ${count} files, and ${part} is missing: put all of them into one folder, ${MERGE}`,
      )
    parts.push(part === given.path ? given : await readOneGguf(part))
  }
  parts.forEach((part, i) => checkPart(part, i, parts))
  const paths = parts.map((part) => part.path)
  const tensors = parts.flatMap((part, file) => part.tensors.map((tensor) => ({ ...tensor, file })))
  checkTogether(paths, tensors)
  return {
    ...parts[0],
    paths,
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    tensors,
  }
}

/** Paths of all parts, by the name of the one given. */
function partsOf({ path, metadata }: GgufFile, count: number): string[] {
  const five = (n: number) => String(n).padStart(5, '0')
  const found = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/s.exec(path)
  if (!found || Number(found[3]) !== count)
    throw new ZslabError(
      'file',
      `${path} is part ${Number(metadata['split.no']) + 1} of a model in ${count} files, which are found by their names, NAME-00001-of-${five(count)}.gguf and so on: give it its name back, ${MERGE}`,
    )
  return Array.from({ length: count }, (_, i) => `${found[1]}-${five(i + 1)}-of-${five(count)}.gguf`)
}

/** Whether `part` is the i-th of these. */
function checkPart(part: GgufFile, i: number, parts: readonly GgufFile[]): void {
  const wrong = (found: string, expected: string) =>
    damaged(part.path, found, expected, `it is a part of another model; ${AGAIN}`)
  const [count, number] = [whole(part, 'split.count'), whole(part, 'split.no')]
  if (count !== parts.length || number !== i)
    throw wrong(
      count === undefined || number === undefined ? 'a whole model' : `part ${number + 1} of ${count}`,
      `part ${i + 1} of ${parts.length}`,
    )
  const tensors = parts.reduce((sum, one) => sum + one.tensors.length, 0)
  const said = [part, parts[0]].map((one) => whole(one, 'split.tensors.count'))
  if (said[0] !== said[1]) throw wrong(`split.tensors.count ${said[0]}`, `${said[1]} as in ${parts[0].path}`)
  if (i === parts.length - 1 && said[0] !== undefined && said[0] !== tensors)
    throw damaged(parts[0].path, `${tensors} tensors in its ${parts.length} parts`, `${said[0]}`, AGAIN)
}

function whole({ path, metadata }: GgufFile, key: string): number | undefined {
  const value = metadata[key]
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 99_999))
    return value
  throw damaged(path, `${key} ${String(value)}`, 'a whole number from 0 to 99999')
}
