/** The default model's file, fetched once into the user's cache as the library itself would. */
import { locate, type Located } from '../../../src/model/sources.js'

let found: Promise<Located> | undefined

export function defaultModel(): Promise<Located> {
  return (found ??= locate('smollm2-135m'))
}
