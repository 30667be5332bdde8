/**
 * What this machine cannot test is said, never passed over: a suite that lacks a program calls one of these, and registers no
 * tests if the answer is undefined. The lines go to the file named by ZSLAB_LEFT_OUT (scripts/test.mjs shows them at the end).
 */
import { appendFileSync } from 'node:fs'
import { findBrowser } from '../src/cli/browser.js'

const told = new Set<string>()

/** Records that `what` was not tested, and the command that adds what it needs. */
export function leftOut(what: string, command: string): void {
  const line = `${what} — ${command}`
  if (told.has(line)) return
  told.add(line)
  if (process.env.ZSLAB_LEFT_OUT) appendFileSync(process.env.ZSLAB_LEFT_OUT, `${line}\n`)
  else console.error(`left out: ${line}`)
}

/** The browser that `zslab export` would take; undefined where there is none, which is then recorded. */
export function browserFor(what: string): string | undefined {
  const found = findBrowser()
  if (!found) leftOut(`${what}: no browser`, 'apt-get install chromium (or set ZSLAB_BROWSER to one)')
  return found
}
