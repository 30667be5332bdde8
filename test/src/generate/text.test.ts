/** Stop strings: cut wherever they fall, nothing shown too early, all pieces together are the text. */
import assert from 'node:assert/strict'
import { OutputText, stopsOf } from '../../../src/generate/text.js'
import type { Tokenizer } from '../../../src/model/index.js'

/** Tokens are pieces of text, those in <> control tokens; id = index. */
const fake = (pieces: string[]) =>
  ({
    stream: () => ({ push: (id: number) => pieces[id], end: () => '' }),
    isSpecial: (id: number) => /^<.*>$/.test(pieces[id]),
    token: (id: number) => pieces[id],
  }) as unknown as Tokenizer

function all(pieces: string[], stops: string[]) {
  const output = new OutputText(fake(pieces), stops)
  let shown = ''
  let used = 0
  for (let id = 0; id < pieces.length && !output.stopped; id++, used++) {
    shown += output.push(id)
    assert.ok(stops.every((stop) => !shown.includes(stop)))
  }
  shown += output.end()
  assert.equal(shown, output.text)
  return { text: output.text, used, stopped: output.stopped }
}

describe('text of a generation', () => {
  it('ends at a stop string, across tokens and within one', () => {
    assert.deepEqual(all(['ab', 'c\n', '\nd', 'e'], ['\n\n']), { text: 'abc', used: 3, stopped: true })
    assert.deepEqual(all(['one STOP two'], ['STOP']), { text: 'one ', used: 1, stopped: true })
    assert.deepEqual(all(['a', 'b'], ['a']), { text: '', used: 1, stopped: true })
    assert.deepEqual(all(['xab', 'c'], ['abc', 'xa']), { text: '', used: 1, stopped: true })
  })

  it('gives back what only looked like the beginning of one', () => {
    assert.deepEqual(all(['a', 'a', 'a', 'b'], ['aaaa']), { text: 'aaab', used: 4, stopped: false })
    assert.deepEqual(all(['aab', 'aa'], ['aabc']), { text: 'aabaa', used: 2, stopped: false })
  })

  it('control tokens are not part of it, but may be or be in stop strings', () => {
    assert.deepEqual(all(['a', '<end>', 'b'], ['<end>']), { text: 'a', used: 2, stopped: true })
    assert.deepEqual(all(['a', '<end>', 'b'], ['x']), { text: 'ab', used: 3, stopped: false })
    assert.deepEqual(all(['word', '<end>', ' b'], ['d<end> b']), { text: 'wor', used: 3, stopped: true })
    assert.deepEqual(all(['word', '<end>', ' c'], ['d<end> b']), { text: 'word c', used: 3, stopped: false })
    assert.deepEqual(all(['a', '<one>', 'b', '<two>', 'c'], ['bc']), { text: 'a', used: 5, stopped: true })
    assert.deepEqual(all(['a', '<one>', '<two>', 'c'], ['<one><two>', 'ac']), { text: 'a', used: 3, stopped: true })
  })

  it('every way of cutting a text into tokens gives the same', () => {
    const text = 'the cat sat on the mat'
    for (let cuts = 0; cuts < 2 ** 10; cuts++) {
      const pieces: string[] = []
      let piece = ''
      for (let i = 0; i < text.length; i++) {
        piece += text[i]
        if (i < 10 ? (cuts >> i) & 1 : i % 3 === 0) {
          pieces.push(piece)
          piece = ''
        }
      }
      pieces.push(piece)
      assert.equal(all(pieces, ['sat', 'mat']).text, 'the cat ')
    }
  })

  it('refuses an empty stop string', () => {
    assert.throws(() => stopsOf(['a', '']), /none of them empty/)
    assert.throws(() => stopsOf(7), /a string or an array of strings/)
  })
})
