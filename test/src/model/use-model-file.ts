/**
 * Does with a model file all that TypeScript ever does: read, describe, tokenizer, encode, decode, chat. As a program it prints one
 * line of JSON: the error's name and code (or neither) and the most memory held, in bytes.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, type ModelDescription } from '../../../src/model/architectures.js'
import { renderChat } from '../../../src/model/chat.js'
import { TENSOR_TYPES, type GgufFile } from '../../../src/model/gguf.js'
import { readGguf } from '../../../src/model/gguf-parts.js'
import { tokenizerOf } from '../../../src/model/tokenizer.js'

const TEXT = ' the <|im_end|> and 123 éя🙂\n<note>'

export async function useModelFile(path: string, chat: boolean): Promise<ModelDescription> {
  const gguf = await readGguf(path)
  const description = describe(gguf)
  const tokenizer = tokenizerOf(gguf)
  for (const special of [true, false]) tokenizer.decode(tokenizer.encode(TEXT, { special }))
  for (let id = 0; id < tokenizer.vocabulary; id += 37) tokenizer.token(id)
  if (chat) await renderChat(gguf, [{ role: 'user', content: TEXT }])
  checkPromises(gguf)
  return description
}

/** What native code relies on, said once more and otherwise than in gguf.ts. */
function checkPromises(gguf: GgufFile): void {
  for (const { name, type, shape, offset, bytes } of gguf.tensors) {
    const { block, bytes: blockBytes } = TENSOR_TYPES[type]
    const rows = shape.length === 2 ? shape[1] : 1
    const right =
      (shape.length === 1 || shape.length === 2) &&
      shape.every((n) => Number.isSafeInteger(n) && n > 0) &&
      BigInt(bytes) * BigInt(block) === BigInt(shape[0]) * BigInt(rows) * BigInt(blockBytes) &&
      Number.isSafeInteger(offset) &&
      offset >= 24 &&
      BigInt(offset) + BigInt(bytes) <= BigInt(gguf.bytes)
    if (!right)
      throw new Error(`${name} was let through: ${JSON.stringify({ type, shape, offset, bytes, file: gguf.bytes })}`)
  }
}

/** Bytes. Linux hands `maxRSS` on from the process that forked this one. */
function peakMemory(): number {
  const status = '/proc/self/status'
  const peak = existsSync(status) && /VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))
  return (peak ? Number(peak[1]) : process.resourceUsage().maxRSS) * 1024
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const answer: { name?: string; code?: string; message?: string; memory?: number } = {}
  try {
    await useModelFile(process.argv[2], true)
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string }
    Object.assign(answer, { name, code, message: message.slice(0, 300) })
  }
  answer.memory = peakMemory()
  console.log(JSON.stringify(answer))
}
