/** Checks of what users pass: each sentence says what was expected, what came, and what to do; nothing is accepted and ignored. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { shown, ZslabError } from '../../src/errors.js'
import { callOptions, flag, float32, integer, invalid, number, oneOf, options, text } from '../../src/expect.js'
import { cases } from '../scale.js'

const says = (check: () => unknown, message: string) =>
  assert.throws(check, (error: unknown) => {
    assert.ok(error instanceof ZslabError)
    assert.deepEqual([error.code, error.name, error.message], ['invalid', 'ZslabError', message])
    return true
  })
const runs = { numRuns: cases(10_000, 1_000), seed: 4 }

describe('expect', () => {
  it('every check has its sentence', () => {
    says(() => integer('layers', 1.5, 1), 'expected a whole number ≥ 1 for layers but received 1.5')
    says(() => integer('layer', 9, 0, 3), 'expected a whole number from 0 to 3 for layer but received 9')
    says(() => integer('layers', NaN, 1), 'expected a whole number ≥ 1 for layers but received NaN')
    says(() => integer('layers', '3', 1), 'expected a whole number ≥ 1 for layers but received "3"')
    says(() => number('alpha', NaN, 0, 100), 'expected a number from 0 to 100 for alpha but received NaN')
    says(() => number('p', 0, 1, 2, 'above 0'), 'expected a number above 0 for p but received 0')
    says(() => text('name', 7n), 'expected a string for name but received 7n')
    says(() => flag('trace', 'yes'), 'expected true or false for trace but received "yes"')
    says(
      () => oneOf('storage', 'int8', ['float32', 'float16']),
      "expected one of 'float32', 'float16' for storage but received \"int8\"",
    )
    says(() => options('load', [], ['weights']), 'expected an object for load but received an array of 0')
    says(() => options('load', null, ['weights']), 'expected an object for load but received null')
    says(
      () => options('load', { Weights: 1 }, ['weights', 'isa']),
      'load has no option "Weights", did you mean \'weights\'?; it has: weights, isa',
    )
    says(() => options('load', { colour: 1 }, ['weights']), 'load has no option "colour"; it has: weights')
    says(() => float32('q', [1, 2], 2, '[2]'), 'expected a Float32Array [2] for q but received an array of 2')
    says(
      () => float32('q', new Float64Array(2), 2, '[2]'),
      'expected a Float32Array [2] for q but received Float64Array of 2',
    )
    says(
      () => float32('q', new Float32Array(3), 2, '[2]'),
      'expected a Float32Array [2] of 2 elements for q but received Float32Array of 3',
    )
    assert.equal(invalid('a', 'b', 1, 'do c').message, 'expected b for a but received 1: do c')
  })

  it('a value is shown in one short line, whatever it is', () => {
    assert.equal(shown('a'.repeat(100)), `"${'a'.repeat(57)}…"`)
    assert.equal(shown(undefined), 'undefined')
    assert.equal(
      shown(() => 1),
      'a function',
    )
    assert.equal(shown(new Map()), 'an object (Map)')
    assert.equal(shown(Object.create(null)), 'an object (Object)')
    assert.equal(shown(Symbol('s')), 'a symbol')
    assert.equal(shown(new DataView(new ArrayBuffer(8))), 'DataView of 8')
    assert.equal(shown({ constructor: { name: { toString: () => assert.fail() } } }), 'an object (Object)')
    assert.equal(shown({ constructor: { name: 'two\nlines' } }), 'an object (Object)')
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withTypedArray: true, withNullPrototype: true, withMap: true }),
        (value) => {
          const words = shown(value)
          assert.ok(words.length > 0 && words.length < 500 && !words.includes('\n'), words)
        },
      ),
      runs,
    )
  })

  it('a whole number passes exactly where it is in range', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.double(), fc.anything()), fc.integer(), fc.nat(), (value, least, width) => {
        const inside = Number.isInteger(value) && (value as number) >= least && (value as number) <= least + width
        if (inside) assert.equal(integer('n', value, least, least + width), value)
        else assert.throws(() => integer('n', value, least, least + width), ZslabError)
      }),
      runs,
    )
  })

  it('options pass exactly where every name is known', () => {
    const known = ['budget', 'recent', 'residual']
    fc.assert(
      fc.property(fc.dictionary(fc.oneof(fc.constantFrom(...known), fc.string()), fc.anything()), (given) => {
        if (Object.keys(given).every((key) => known.includes(key))) assert.equal(options('it', given, known), given)
        else
          assert.throws(() => options('it', given, known), {
            code: 'invalid',
            message: /^it has no option ".*it has: budget, recent, residual$/s,
          })
      }),
      runs,
    )
  })

  it('progress is a function or false, and true only where there is a bar', () => {
    for (const progress of [undefined, false, () => undefined]) {
      callOptions('it', { progress })
      callOptions('it', { progress }, [], false)
    }
    callOptions('it', { progress: true })
    assert.throws(() => callOptions('it', { progress: true }, [], false), /expected a function or false for progress/)
    for (const progress of [null, 0, 'yes', {}])
      assert.throws(() => callOptions('it', { progress }), /expected true, false or a function for progress/)
  })
})
