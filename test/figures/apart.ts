/** Words that can be read: none leaves the picture, and no two touch. */
import assert from 'node:assert/strict'
import type { Drawn } from '../../src/figures/export/svg.js'

const TOLERANCE = 0.02

export function wordsApart({ texts, width, height }: Omit<Drawn, 'svg'>, style: string): void {
  for (const text of texts) {
    const inside =
      text.left >= -TOLERANCE &&
      text.top >= -TOLERANCE &&
      text.right <= width + TOLERANCE &&
      text.bottom <= height + TOLERANCE
    assert.ok(inside, `${style}: “${text.text}” leaves the picture: ${JSON.stringify(text)} of ${width} × ${height}`)
  }
  const sorted = [...texts].sort((a, b) => a.left - b.left)
  sorted.forEach((a, i) => {
    for (let j = i + 1; j < sorted.length && sorted[j].left < a.right - TOLERANCE; j++) {
      const b = sorted[j]
      const touch = a.top < b.bottom - TOLERANCE && b.top < a.bottom - TOLERANCE
      assert.ok(!touch, `${style}: “${a.text}” and “${b.text}” overlap`)
    }
  })
}
