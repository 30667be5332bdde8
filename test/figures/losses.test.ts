/** Error split, regret strip and needle autopsy: their numbers by hand, their words, and what wrong calls are told. */
import assert from 'node:assert/strict'
import { errorSplit, needleAutopsy, regretStrip } from '../../src/figures/index.js'
import type { LocalData, ShadowData } from '../../src/figures/data.js'
import { lineageByHand, runMade } from './made-runs.js'
import { shadowMade } from './synthetic.js'
import { autopsyMade, lossesMade } from './synthetic-losses.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }

/** Two steps of two layers with one query head each; numbers that binary fractions hold. */
function byHand(): ShadowData {
  const local: LocalData = {
    layers: 2,
    heads: 1,
    kvHeads: 1,
    steps: Int32Array.of(1, 2),
    error: Float64Array.of(0.5, 0.25, 0.75, 0.5),
    dropped: Float64Array.of(0.5, 0.5, 1, 1),
    merged: Float64Array.of(0.25, 0, -0.125, 0.25),
    repaired: Float64Array.of(-0.25, -0.25, -0.125, -0.75),
    missed: Float64Array.of(0, 0, 0, 0),
    blurred: Float64Array.of(0, 0, 0, 0),
    lost: {
      layer: [],
      kvHead: [],
      position: [],
      step: [],
      merged: [],
      probability: [],
      worst: [],
      worstStep: [],
      change: [],
    },
  }
  return { ...shadowMade(0.1, 2), label: 'zsmerge, 8 slots', local }
}

const invalid = (call: () => unknown, message: RegExp) =>
  assert.throws(call, { name: 'ZslabError', code: 'invalid', message })

describe('figures: error split', () => {
  it('is what a small shadow comes to by hand', () => {
    const { summary, columns } = errorSplit(byHand())
    assert.equal(
      summary,
      'zsmerge, 8 slots: of an error of 0.75 by dropping, merging adds 0.0938 and compensation takes 0.344 off. ' +
        'That leaves 0.5, the mean of ‖o − o*‖/‖o*‖ of 2 heads over 2 steps. Merging with compensation is better than dropping ' +
        'alone in 75% of heads and steps. It is largest in layer 0 (0.625) and smallest in layer 1 (0.375).',
    )
    assert.deepEqual(columns.step, [1, 1, 2, 2])
    assert.deepEqual(columns.layer, [0, 1, 0, 1])
    assert.deepEqual(columns.merged, [0.25, 0, -0.125, 0.25])
    assert.deepEqual(columns.error, [0.5, 0.25, 0.75, 0.5])
  })

  it('stacks what adds above 0 and what takes away below', () => {
    const [, steps] = errorSplit(byHand()).plot.panels
    const boxes = Object.fromEntries(
      steps.marks.flatMap((mark) =>
        mark.kind === 'boxes' ? [[mark.name, mark.y0.map((y0, i) => [y0, mark.y1[i]])]] : [],
      ),
    )
    // Means over layers: dropping 0.5 and 1, merging 0.125 and 0.0625, compensation −0.25 and −0.4375.
    assert.deepEqual(boxes, {
      'dropping alone': [
        [0, 0.5],
        [0, 1],
      ],
      'merging, without compensation': [
        [0.5, 0.625],
        [1, 1.0625],
      ],
      compensation: [
        [-0.25, 0],
        [-0.4375, 0],
      ],
    })
  })

  it('says what is wrong with a call', () => {
    const data = byHand()
    invalid(() => errorSplit(Promise.resolve() as never), /await it/)
    invalid(() => errorSplit(shadowMade(0.1, 3)), /has no local part.*trace: true/)
    invalid(
      () => errorSplit({ ...data, local: undefined, localNote: 'no events were kept' }),
      /drawn from: no events were kept/,
    )
    invalid(
      () => errorSplit({ ...data, local: { ...data.local!, merged: undefined } }),
      /has no parts: its merged slots are no means/,
    )
    invalid(() => errorSplit({ ...data, local: { ...data.local!, steps: new Int32Array(0) } }), /at least 2 tokens/)
    invalid(() => errorSplit(data, { layer: 1 } as never), /errorSplit has no option "layer"/)
  })
})

describe('figures: regret strip', () => {
  /** lineageByHand() has 11 tokens, one head and 3 steps. */
  const lost = {
    layer: [0, 0, 0, 0],
    kvHead: [0, 0, 0, 0],
    position: [1, 4, 5, 7],
    step: [0, 0, 1, 3],
    merged: [1, 1, 0, 1],
    probability: [0.75, 0.375, 0.375, 0],
    worst: [0.5, 0.25, 0.25, 0],
    worstStep: [2, 1, 3, -1],
    change: [0.3, 3, 0.6, 0],
  }
  const shadow = (): ShadowData => {
    const zeros = () => new Float64Array(3)
    const measures = { error: zeros(), missed: zeros(), blurred: zeros() }
    const local = { layers: 1, heads: 1, kvHeads: 1, steps: Int32Array.of(1, 2, 3), ...measures, lost }
    return { ...shadowMade(0.1, 3, 1, 8), local }
  }

  it('is what a small shadow comes to by hand', () => {
    const { summary, columns } = regretStrip(lineageByHand(), shadow())
    assert.deepEqual(columns.regret, [0, 0.25, 0, 0, 0.125, 0.125, 0, 0, 0, 0, 0])
    assert.deepEqual(columns.merged, [0, 0.25, 0, 0, 0.125, 0, 0, 0, 0, 0, 0])
    assert.deepEqual(columns.dropped, [0, 0, 0, 0, 0, 0.125, 0, 0, 0, 0, 0])
    assert.deepEqual(columns.lostHeads, [0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0])
    assert.deepEqual(columns.firstLost, [null, 0, null, null, 0, 1, null, 3, null, null, null])
    assert.deepEqual(columns.worstStep, [null, 2, null, null, 1, 3, null, null, null, null, null])
    const { token } = columns as { token: string[] }
    assert.equal(
      summary,
      `The kv head would give 50% of its attention to tokens lost before, most to “${token[1].trim()}” at 1. 75% of that to merged ones; half of ` +
        'it is due to 1 of 3 tokens that were missed at all (4 tokens merged or dropped in 1 kv head, 3 decode steps). ' +
        `“${token[1].trim()}” at 1 alone is 50% of it, lost in 1 head. The most at once is 50%, in kv head 0 of layer 0, step 2. ` +
        'The fonts of its png and pdf lack 1 character, drawn there as □U+9BE8.',
    )
  })

  it('ranks by the measure that is asked for, and as many as are', () => {
    const texts = (options: object) => {
      const { panels } = regretStrip(lineageByHand(), shadow(), options).plot
      const [labels] = panels[panels.length - 1].marks.flatMap((mark) => (mark.kind === 'labels' ? [mark.text] : []))
      return labels.map((text) => text.replace(/“.*” /, ''))
    }
    assert.deepEqual(texts({ top: 2 }), ['25% at 1', '13% at 4'])
    assert.deepEqual(texts({ measure: 'change' }), ['1 at 4', '0.2 at 5', '0.1 at 1'])
  })

  it('counts one layer or one head where asked', () => {
    const data = runMade(small)
    const losses = lossesMade(data)
    const sum = (options: object) =>
      Array.from(regretStrip(data, losses, options).columns.regret as number[]).reduce((all, one) => all + one, 0)
    const heads = [0, 1].flatMap((layer) => [0, 1, 2].map((kvHead) => sum({ layer, kvHead })))
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
    assert.ok(Math.abs(sum({}) - mean(heads)) < 1e-12)
    assert.ok(Math.abs(sum({ layer: 1 }) - mean(heads.slice(3))) < 1e-12)
  })

  it('says what is wrong with a call', () => {
    const data = runMade(small)
    const losses = lossesMade(data)
    invalid(() => regretStrip(data, shadowMade(0.1, 3)), /has no local part/)
    invalid(() => regretStrip(lineageByHand(), losses), /the shadow of this run for shadow/)
    invalid(() => regretStrip(data, losses, { kvHead: 1 }), /a layer beside kvHead/)
    invalid(() => regretStrip(data, losses, { layer: 2 }), /from 0 to 1 for layer but received 2/)
    invalid(() => regretStrip(data, losses, { measure: 'kl' as never }), /one of 'probability', 'change' for measure/)
    invalid(() => regretStrip(data, losses, { top: 0 }), /from 1 to 100 for top/)
    invalid(() => regretStrip(data, losses, { from: 95 }), /from 0 to 89 for from/)
  })
})

describe('figures: needle autopsy', () => {
  it('draws a box for each token and head in its fate’s colour', () => {
    const made = autopsyMade(runMade(small), { from: 8, to: 20 })
    const { fate } = made.table()
    const [matrix, bars] = needleAutopsy(made).plot.panels
    const drawn = new Array<string>(fate.length)
    const colors = { held: 'kept', residual: 'blurred', dropped: 'never', tint4: 'later' } as Record<string, string>
    for (const mark of matrix.marks)
      if (mark.kind === 'boxes')
        mark.x0.forEach((x0, i) => (drawn[Math.round(3 * x0) * 12 + Math.floor(mark.y0[i])] = colors[mark.color]))
    assert.deepEqual(drawn, fate)
    const [kept] = bars.marks.flatMap((mark) => (mark.kind === 'boxes' ? [mark] : []))
    kept.x1.forEach((share, i) => {
      const row = Math.floor(kept.y0[i])
      assert.equal(share, fate.filter((one, at) => at % 12 === row && one === 'kept').length / 6)
    })
  })

  it('says how much is gone everywhere', () => {
    const data = runMade(small)
    assert.match(
      needleAutopsy(autopsyMade(data, { from: 8, to: 11, all: 2 })).summary,
      /none of its 3 tokens has a slot of its own in any of 6 kv heads\. Global Eviction Ratio 1 .* 100% dropped at once\. All heads of a layer together lose 100%\. No two heads keep any/,
    )
    assert.match(
      needleAutopsy(autopsyMade(data, { from: 8, to: 9, all: 1 })).summary,
      /its token has no slot of its own in any of 6 kv heads\..* 100% blurred \(in slots of 20 tokens, the median\)\./,
    )
    assert.match(
      needleAutopsy(autopsyMade(data, { from: 8, to: 11, all: 0 })).summary,
      /each of its 3 tokens has a slot of its own in at least one of 6 kv heads\. Global Eviction Ratio 0 .* 100% kept\..*agree on what to keep of it by 1 /,
    )
    invalid(() => needleAutopsy({} as never), /a result of trace\.autopsy\(\) for autopsy/)
  })
})
