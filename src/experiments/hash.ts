/** What a study found as one hash: whoever did its trials, and in which order. */
import { createHash } from 'node:crypto'
import type { Study } from './study.js'

/** SHA-256 of all trials that it has, by their keys; undefined before run() or plan(). */
export function hashOfStudy(study: Study): string | undefined {
  if (!study.progress) return undefined
  const byKey = new Map(study.all.map(({ trial: { key, values } }) => [key, JSON.stringify([key, values])]))
  const hash = createHash('sha256')
  for (const key of [...byKey.keys()].sort()) hash.update(byKey.get(key)!)
  return hash.digest('hex')
}
