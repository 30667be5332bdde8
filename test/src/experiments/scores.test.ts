/** Scores beside rouge-score's and SQuAD's (scripts/make-scores-golden.py), and what the others count. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { SCORE_NAMES, scored, type ScoreName } from '../../../src/experiments/scores/index.js'
import { stem } from '../../../src/experiments/scores/stem.js'

interface Golden {
  stems: Record<string, string>
  cases: [string, string, ...number[]][]
}
const { stems, cases } = JSON.parse(
  readFileSync(new URL('../../golden/scores.json', import.meta.url), 'utf8'),
) as Golden

const COLUMNS: ScoreName[] = [
  'rouge1',
  'rouge2',
  'rougeL',
  'rougeLsum',
  'rouge1Stemmed',
  'rouge2Stemmed',
  'rougeLStemmed',
  'rougeLsumStemmed',
  'f1',
  'exact',
]

describe('scores', () => {
  it('stems are NLTK’s', () => {
    assert.ok(Object.keys(stems).length > 2000)
    const wrong = Object.entries(stems).filter(([word, expected]) => stem(word) !== expected)
    assert.deepEqual(
      wrong.map(([word, expected]) => `${word}: ${stem(word)}, not ${expected}`),
      [],
    )
  })

  for (const [column, name] of COLUMNS.entries())
    it(`${name} is the reference’s`, () => {
      assert.ok(cases.length >= 500)
      let between = 0
      for (const [said, answer, ...expected] of cases) {
        const found = scored(name).of(said, [answer])
        assert.ok(
          Math.abs(found - expected[column]) <= 1e-12,
          `${JSON.stringify([said, answer])}: ${found}, not ${expected[column]}`,
        )
        if (found > 0 && found < 1) between++
      }
      assert.ok(name === 'exact' || between > 100, `only ${between} are neither nothing nor all`)
    })

  it('are from 0 to 1, 1 for the answer itself, and count the closest of several', () => {
    const text = fc.string({ unit: 'grapheme' })
    const plain = fc.stringMatching(/^[b-z0-9]{4,8}( [b-z0-9]{4,8}){2,6}$/)
    fc.assert(
      fc.property(
        fc.constantFrom(...SCORE_NAMES),
        text,
        fc.array(text, { minLength: 1 }),
        plain,
        (name, said, answers, answer) => {
          const { of } = scored(name)
          const found = of(said, answers)
          assert.ok(found >= 0 && found <= 1)
          if (name !== 'all') assert.equal(found, Math.max(...answers.map((one) => of(said, [one]))))
          assert.ok(Math.abs(of(answer, [answer]) - 1) < 1e-12)
        },
      ),
    )
  })

  it('count what is said of what is to be said', () => {
    const all = (said: string, ...answers: string[]) => scored('all').of(said, answers)
    assert.equal(all('it is ABC and 42.', 'abc', '42', 'xyz', '7'), 0.5)
    assert.equal(scored('contains').of('the value is abc.', ['xyz', 'ABC']), 1)
    assert.equal(scored('contains').of('the value is ab c.', ['abc']), 0)
  })
})
