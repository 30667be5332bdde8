/** Numbers for people: in tables, in summaries of typed arrays, in what figures write down. */
import assert from 'node:assert/strict'
import { numbers, numberText } from '../../../kernel/cell/numbers.js'
import { tableOf } from '../../../kernel/cell/tables.js'
import { rounded } from '../../../src/figures/plotly-traces.js'

const cellsOf = (value: unknown) =>
  [...String(tableOf([{ value }])['text/html']).matchAll(/<td>([^<]*)<\/td>/g)].map(([, cell]) => cell)[0]
const summary = (value: object) => String(numbers(value)?.['text/plain']).split('\n')[1].trim()

describe('numbers for people', () => {
  it('whole numbers are whole', () => {
    for (const whole of [
      0,
      -7,
      12345678,
      20251231,
      123456789012,
      2 ** 53,
      -(2 ** 53),
      1767139200123456789n,
      2n ** 200n,
    ])
      assert.equal(numberText(whole, 3), String(whole))
    assert.equal(cellsOf(20251231), '20251231')
    assert.equal(cellsOf(1767139200123456789n), '1767139200123456789')
  })

  it('fractions are shortened, and never to what they are not', () => {
    const texts: [number, string][] = [
      [123456789.123, '123456789.123'],
      [123456789.123456, '123456789.123'],
      [20251231.5, '20251231.5'],
      [0.1 + 0.2, '0.3'],
      [1 / 3, '0.3333333'],
      [1234.56789, '1234.568'],
      [0.99999999, '1.000000'],
      [2 + 1e-9, '2.000000'],
      [999999.9999999, '1000000.00'],
      [-1.5e-9, '-1.5e-9'],
      [NaN, 'NaN'],
      [-Infinity, '-Infinity'],
    ]
    for (const [value, text] of texts) assert.equal(numberText(value, 7), text)
  })

  it('what is shown lies within half a unit of its last digit, and whole only where the number is', () => {
    let seed = 1
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647
    for (let i = 0; i < 20_000; i++) {
      const value = (random() - 0.5) * 10 ** Math.round(random() * 30 - 15)
      const text = numberText(value, 7)
      assert.equal(/^-?\d+$/.test(text), Number.isInteger(value), `${value} → ${text}`)
      const [, digits, power = '0'] = /^-?\d+(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text)!
      const unit = 10 ** (Number(power) - (digits?.length ?? 0))
      assert.ok(Math.abs(Number(text) - value) <= unit * 0.5001 + Math.abs(value) * 2 ** -52, `${value} → ${text}`)
    }
  })

  it('labels and names of tables too', () => {
    const text = String(tableOf(new Map([[20251231, { 20251230: 1 }]]))['text/plain'])
    assert.match(text, /20251230\n20251231 +1$/)
  })

  it('summaries of typed arrays are right to the last digit that they show', () => {
    const dates = new Float64Array(200).fill(20251231)
    assert.equal(summary(dates), 'min 20251231, mean 20251231, max 20251231')
    assert.equal(summary(new BigInt64Array(200)), 'min 0n, mean 0, max 0n')
    const ns = BigInt64Array.from({ length: 201 }, (_, i) => 1767139200123456789n + BigInt(i))
    assert.equal(summary(ns), 'min 1767139200123456789n, mean 1767139200123456889, max 1767139200123456989n')
    ns[0] -= 100n
    assert.match(summary(ns), /mean 1767139200123456888\.502,/)
    const many = new Float64Array(1_000_001).fill(0.1)
    many[0] = 1e16
    assert.equal(summary(many), `min 0.1, mean ${numberText((1e16 + 100_000) / 1_000_001, 6)}, max 10000000000000000`)
    assert.equal(summary(new Float32Array(200).fill(NaN)), '200 not finite')
    assert.equal(summary(new Float64Array(200).fill(1e308)), 'min 1e+308, max 1e+308')
  })

  it('figures write whole numbers whole', () => {
    assert.deepEqual([20251231, 123456789.123, 1 / 3, NaN].map(rounded), [20251231, 123456789.123, 0.3333333, null])
  })
})
