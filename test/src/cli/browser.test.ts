/** The browser as a printer: what it is asked for, and what is said where it does not print. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { printed } from '../../../src/cli/browser.js'
import { browserFor } from '../../left-out.js'
import { ownFolder } from '../model/files.js'

describe('a page is printed', () => {
  const folder = ownFolder()
  const never = new AbortController().signal
  const script = (name: string, lines: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${lines}\n`, { mode: 0o755 })
    return join(folder, name)
  }

  const found = browserFor('pages on paper (test/src/cli/browser.test.ts)')
  if (found)
    it('by a browser that is there', async function () {
      this.timeout(120_000)
      const pdf = await printed(found, '<!doctype html><title>T</title><p>printed', never)
      assert.equal(pdf.subarray(0, 5).toString(), '%PDF-')
    })

  it('by one that says why it cannot, or says nothing and prints nothing', async () => {
    const failing = script('failing', 'echo first >&2; echo no sheets left >&2; exit 3')
    await assert.rejects(printed(failing, '', never), {
      code: 'unsupported',
      message: /failing" did not print \(no sheets left\): .*TMPDIR.*ZSLAB_BROWSER/,
    })
    await assert.rejects(printed(script('silent', 'exit 0'), '', never), /silent" did not print \(ENOENT/)
  })

  it('until it is stopped', async () => {
    const mark = join(folder, 'begun')
    const stop = new AbortController()
    const work = printed(script('waiting', `: > '${mark}'; exec sleep 600`), '', stop.signal)
    const timer = setInterval(() => existsSync(mark) && stop.abort(), 10)
    await assert.rejects(work, { name: 'AbortError' }).finally(() => clearInterval(timer))
  })

  it('or until it has taken too long', async () => {
    const work = printed(script('late', 'exec sleep 600'), '', never, 200)
    await assert.rejects(work, { code: 'unsupported', message: /late" has not printed within 0\.2 s and was ended/ })
  })

  it('and nothing of it is left beside what tests made', () =>
    assert.deepEqual(readdirSync(folder).sort(), ['begun', 'failing', 'late', 'silent', 'waiting']))
})
