/**
 * One picture of every figure as it was when somebody last looked at it: the same bytes, until a change is meant. To draw them anew, and then
 * look at what git says has changed: ZSLAB_REDRAW=1 npx mocha test/figures/golden.test.ts
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { CASES, LOOKED_AT } from './cases.js'

const FOLDER = new URL('../golden/figures/', import.meta.url)
const REDRAW = process.env.ZSLAB_REDRAW === '1'

const fileOf = (name: string) => new URL(`${name.replaceAll(/[^a-z0-9]+/g, '-')}.svg`, FOLDER)

describe('pictures that were looked at', function () {
  this.timeout(300_000)
  for (const name of LOOKED_AT)
    it(name, () => {
      const [file, { svg }] = [fileOf(name), CASES[name]()]
      if (REDRAW) return writeFileSync(file, svg)
      assert.ok(svg === readFileSync(file, 'utf8'), `differs from ${file.pathname}: look at it, then draw anew`)
    })
})
