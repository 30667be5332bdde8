/** Typed reading of GGUF metadata: each function names the file, the key, what it holds and what it should. */
import { shown, ZslabError } from '../errors.js'
import type { GgufFile, MetadataValue } from './gguf.js'

function wrong(gguf: GgufFile, key: string, expected: string): ZslabError {
  const value = gguf.metadata[key]
  const found = value === undefined ? `no metadata ${key}` : `${key} = ${shown(value)}`
  return new ZslabError(
    'file',
    `${gguf.path}: found ${found}, expected ${expected}: convert the model again with a current converter`,
  )
}

/** A value that may be missing: `fallback` then, or an error where there is none. */
function optional<T>(
  gguf: GgufFile,
  key: string,
  fallback: T | undefined,
  expected: string,
  read: (value: MetadataValue) => T | undefined,
): T {
  const value = gguf.metadata[key]
  if (value === undefined && fallback !== undefined) return fallback
  const found = value === undefined ? undefined : read(value)
  if (found === undefined) throw wrong(gguf, key, expected)
  return found
}

export function wholeOf(gguf: GgufFile, key: string, least: number, most: number, fallback?: number): number {
  return optional(gguf, key, fallback, `a whole number from ${least} to ${most}`, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : undefined,
  )
}

export function realOf(gguf: GgufFile, key: string, least: number, most: number, fallback?: number): number {
  return optional(gguf, key, fallback, `a number from ${least} to ${most}`, (value) =>
    typeof value === 'number' && value >= least && value <= most ? value : undefined,
  )
}

export function wordOf(gguf: GgufFile, key: string, fallback?: string): string {
  return optional(gguf, key, fallback, 'a string', (value) => (typeof value === 'string' ? value : undefined))
}

export function flagOf(gguf: GgufFile, key: string, fallback?: boolean): boolean {
  return optional(gguf, key, fallback, 'true or false', (value) => (typeof value === 'boolean' ? value : undefined))
}

export function wordsOf(gguf: GgufFile, key: string, fallback?: string[]): string[] {
  return optional(gguf, key, fallback, 'an array of strings', (value) =>
    Array.isArray(value) && value.every((v) => typeof v === 'string') ? (value as string[]) : undefined,
  )
}

export function wholesOf(gguf: GgufFile, key: string, fallback?: number[]): number[] {
  return optional(gguf, key, fallback, 'an array of whole numbers', (value) =>
    Array.isArray(value) && value.every((v) => Number.isInteger(v)) ? (value as number[]) : undefined,
  )
}
