/** What the model tests share: folders that vanish, the paths of fixtures, files made for one test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { after } from 'mocha'

export const toyPath = fileURLToPath(new URL('../../models/toy.gguf', import.meta.url))
export const goldenPath = (name: string) => fileURLToPath(new URL(`../../golden/${name}`, import.meta.url))

/** A folder of this test file's own, removed after its tests. */
export function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-test-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function written(folder: string, name: string, bytes: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

/** The generator of the golden files: x ← 1664525 x + 1013904223 mod 2³², draws are its upper half. */
export function draws(seed: number): (below: number) => number {
  let x = seed >>> 0
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return Math.floor(((x >>> 8) / 2 ** 24) * below)
  }
}
