/**
 * What this machine cannot test is said, never passed over: a suite that lacks a program calls one of these, and registers no
 * tests if the answer is undefined. The lines go to the file named by ZSLAB_LEFT_OUT (scripts/test.mjs shows them at the end).
 */
import { appendFileSync } from 'node:fs'
import { findTool } from '../scripts/python.mjs'

const told = new Set<string>()

/** Records that `what` was not tested, and the command that adds what it needs. */
export function leftOut(what: string, command: string): void {
  const line = `${what} — ${command}`
  if (told.has(line)) return
  told.add(line)
  if (process.env.ZSLAB_LEFT_OUT) appendFileSync(process.env.ZSLAB_LEFT_OUT, `${line}\n`)
  else console.error(`left out: ${line}`)
}

/** The path of a Chromium-like browser (ZSLAB_BROWSER, or on PATH); undefined where there is none, which is then recorded. */
export function browserFor(what: string): string | undefined {
  const asked = process.env.ZSLAB_BROWSER
  const names = asked ? [asked] : ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const found = names.map((name) => findTool(name)).find((path) => path !== undefined)
  if (!found) leftOut(`${what}: no browser`, 'apt-get install chromium (or set ZSLAB_BROWSER to one)')
  return found
}
