/** Widths that figures are laid out with, beside the fonts that they are set in. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { openSync, type Font } from 'fontkit'
import { advanceOf, codeOf, faced, lacking, spelt, type Face } from '../../src/figures/fonts/faces.js'
import { fontFiles } from '../../src/figures/fonts/files.js'
import { textWidth } from '../../src/figures/text.js'
import { full } from '../scale.js'

const FACES: Face[] = ['sans', 'bold', 'mono']
const fonts = Object.fromEntries(FACES.map((face) => [face, openSync(fontFiles()[face]) as Font])) as Record<Face, Font>
const numRuns = full ? 5_000 : 300

/** Words of figures: letters, digits and the signs that stand in titles, axes and tokens. */
const words = fc.string({
  unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789.,:;%()[]“”’−–×·→α‖≤≥'),
  maxLength: 60,
})

describe('figures: fonts', function () {
  this.timeout(300_000)

  it('have the widths of their files', () => {
    for (const face of FACES) {
      const font = fonts[face]
      for (const code of font.characterSet) {
        if (code < 0x20) continue
        const { advanceWidth } = font.glyphForCodePoint(code)
        const own = advanceOf(String.fromCodePoint(code), face)!
        assert.ok(Math.abs(own - advanceWidth / font.unitsPerEm) < 0.000501, `${face} ${code.toString(16)}: ${own}`)
      }
    }
  })

  it('set words as wide as they were measured, but for what moves together', () => {
    fc.assert(
      fc.property(words, fc.constantFrom('sans' as const, 'bold' as const), (text, face) => {
        const measured = textWidth(text, { size: 10, bold: face === 'bold' })
        const set = faced(text, face).reduce(
          (sum, piece) => sum + (fonts[piece.face].layout(piece.text).advanceWidth / fonts[piece.face].unitsPerEm) * 10,
          0,
        )
        assert.ok(set <= measured * 1.02 + 1 && set >= measured * 0.9 - 1, `“${text}”: ${measured} set as ${set}`)
      }),
      { numRuns, seed: 3 },
    )
  })

  it('write what they lack as its code, and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
        const written = spelt(text)
        assert.deepEqual(lacking(written), [])
        assert.equal(spelt(written), written)
        for (const character of lacking(text.normalize('NFC'))) assert.ok(written.includes(`□${codeOf(character)}`))
        if (!lacking(text.normalize('NFC')).length) assert.equal(written, text.normalize('NFC'))
      }),
      { numRuns, seed: 5 },
    )
    assert.equal(spelt('e\u0301 鯨 🙂 \ud83d'), 'é □U+9BE8 □U+1F642 □U+D83D')
  })
})
