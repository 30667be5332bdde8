/** Survival: counted by hand, and against the slots as they were after every step. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { RunData } from '../../src/figures/data.js'
import { candidateFrom, firstCompression, fatesAtEnd, livesOf } from '../../src/figures/fates.js'
import { evictionMap, survival } from '../../src/figures/index.js'
import type { Boxes, Points } from '../../src/figures/plot.js'
import { percent } from '../../src/figures/scale.js'
import type { Bits } from '../../src/figures/bits.js'
import { survivalOf } from '../../src/figures/survival-counts.js'
import { meanCurve, medianAge, spreadOf } from '../../src/figures/survival-spread.js'
import { anyRun, fullRun, runMade } from './made-runs.js'
import { alike } from '../scale.js'
import { layoutsMade, runOf } from './synthetic.js'

const runs = { numRuns: alike(2000, 100), seed: 23 }

/**
 * One head, a prompt of 4 tokens in 4 slots of which 2 protect the newest, five steps. Ages at the end: token p is 8 − p old.
 * 0 and 1 may leave from step 1 on, when the cache is first full; 2 from 1, 3 from 2, 4 from 3, 5 from 4, 6 from 5.
 */
const byHand = (): RunData =>
  runOf({
    prompt: 4,
    steps: 5,
    sizes: { budget: 4, recent: 2, residual: 1, sink: 0, context: 1, window: 0 },
    // step, what, position, target
    events: [
      [1, 'merge', 1, 0],
      [2, 'drop', 3, -1],
      [3, 'drop', 2, -1],
      [4, 'merge', 5, 0],
      [5, 'merge', 6, 0],
    ],
    slots: [[0, 1, 5, 6], [4], [7], [8]],
  })

/** As before, only dropping; at step 3 a token that had left is back in place of 2: 3, which left at step 2, or 0, which left at step 1. */
const broughtBack = ({ backFromPrompt = false } = {}): RunData => {
  const back = backFromPrompt ? 0 : 3
  return runOf({
    prompt: 4,
    steps: 5,
    sizes: { budget: 4, recent: 2, residual: 0, sink: 0, context: 2, window: 0 },
    events: [
      [1, 'drop', 0, -1],
      [2, 'drop', 3, -1],
      [3, 'drop', 1, -1],
      [3, 'drop', 2, -1],
      [3, 'unevict', back, -1],
      [4, 'drop', 4, -1],
      [5, 'drop', 5, -1],
    ],
    slots: [[back], [6], [7], [8]],
  })
}

const ages = (bits: Bits) => Array.from({ length: bits.length }, (_, age) => Number(bits.has(age)))

describe('figures: survival', function () {
  this.timeout(600_000)

  it('is what a small run comes to by hand', () => {
    const data = byHand()
    const [head] = survivalOf(data, data.events!)
    // Seen at step 1: tokens 4, 3, 2, 1, 0 at ages 0 … 4; 1 went into the slot of 0.
    assert.deepEqual([head.full, ages(head.lostThen), ages(head.lostAtEnd)], [1, [0, 0, 0, 1, 1], [0, 1, 1, 1, 1]])
    assert.equal(head.mergedThen, 2)
    // Followed are 3 (from age 0), 4 … 8; 2 is a candidate at step 1 already.
    assert.deepEqual(head.later, { merged: 2, dropped: 2, atOnce: 3 })
    assert.deepEqual([head.tokens, head.censored], [6, 3])
    // Last seen at ages: 3 and 5 and 6 left at 2; 4 is 4 old, 7 is 1, 8 is 0.
    assert.deepEqual([...head.followed.atRisk], [6, 5, 4, 1, 1])
    assert.deepEqual([...head.followed.merged], [0, 0, 2, 0, 0])
    assert.deepEqual([...head.followed.dropped], [0, 0, 1, 0, 0])
    assert.deepEqual([...head.curve], [1, 1, 0.25, 0.25, 0.25])
    const { summary, columns } = survival(data)
    assert.equal(
      summary,
      '75% of what left while decoding went as soon as it could. While decoding 4 tokens left in 1 kv head (50% merged, 50% dropped), ' +
        '3 at the first step at which they could. When the cache was first full, 40% of the tokens seen by then lost their slots ' +
        '(all merged). Of the tokens followed since they were protected half are gone at age 2; 50% are alone at the end.',
    )
    assert.equal(columns.age.length, 2 * 5 + 5)
  })

  it('counts a token that was brought back as gone in between, and at risk again from then on', () => {
    const data = broughtBack()
    const [head] = survivalOf(data, data.events!)
    assert.deepEqual([head.full, ages(head.lostThen), ages(head.lostAtEnd)], [1, [0, 0, 0, 0, 1], [1, 0, 1, 1, 1]])
    // 3 at step 2, as soon as it could; 1 and 2 at 3, 4 at 4, 5 at 5.
    assert.deepEqual(head.later, { merged: 0, dropped: 5, atOnce: 1 })
    assert.deepEqual([head.tokens, head.censored], [6, 4])
    // Of 3 ages 0 … 2, then 3 … 5; of 4 and 5 up to 3, of 6 up to 2, of 7 up to 1, of 8 its first.
    assert.deepEqual([...head.followed.atRisk], [6, 5, 4, 3, 1, 1])
    assert.deepEqual([...head.followed.dropped], [0, 0, 1, 2, 0, 0])
    head.curve.forEach((share, age) => assert.ok(Math.abs(share - [1, 1, 0.75, 0.25, 0.25, 0.25][age]) < 1e-12))
  })

  it('knows who was gone when the cache was first full, though it came back', () => {
    const data = broughtBack({ backFromPrompt: true })
    const [head] = survivalOf(data, data.events!)
    // 0 was dropped at step 1 and is back at step 3 in place of 2, to the end.
    assert.deepEqual(
      [ages(head.lostThen), ages(head.lostAtEnd)],
      [
        [0, 0, 0, 0, 1],
        [1, 1, 1, 1, 0],
      ],
    )
  })

  it('shows it gone in between on the eviction map, too', () => {
    const data = broughtBack()
    const [panel] = evictionMap(data, { layer: 0 }).plot.panels
    const boxes = (name: string) => panel.marks.filter((mark) => mark.kind === 'boxes' && mark.name === name) as Boxes[]
    const steps = (name: string) =>
      boxes(name).flatMap(({ x0, y0, y1 }) => x0.flatMap((at, i) => (Math.floor(at) === 3 ? [[y0[i], y1[i]]] : [])))
    assert.deepEqual([steps('recent, protected'), steps('in a slot of its own')], [[[0, 2]], [[3, 6]]])
    const crosses = panel.marks.find((mark) => mark.kind === 'points' && mark.name === 'dropped') as Points
    const at = crosses.x.indexOf(3.5)
    assert.equal(crosses.y[at], 2)
    assert.match(crosses.hover![at], /dropped at step 2, back at step 3\nkept to the end/)
  })

  it('is what the slots say that the cache had after every step', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade({ ...made, layers: 1, kvHeads: 1 })
        const [head] = survivalOf(data, data.events!)
        const layouts = layoutsMade(made)
        const { fate } = fatesAtEnd(data, 0, 0)
        const compressed = firstCompression(data)
        const lasted = data.tokens.map(({ position }) => {
          const came = Math.max(0, position - data.promptTokens + 1)
          const alone = (step: number) => layouts[step].some((slot) => slot.length === 1 && slot[0] === position)
          let step = came
          while (step <= data.steps && alone(step)) step++
          const protectedThen = compressed > data.steps || candidateFrom(data, position) > compressed
          const age = (at: number) => data.promptTokens + at - 1 - position
          const gone = step <= data.steps
          return {
            step,
            gone,
            followed: protectedThen,
            first: Math.max(0, age(0)),
            last: age(gone ? step : data.steps),
            fate: fate[position],
          }
        })
        const followed = lasted.filter((token) => token.followed)
        let alone = 1
        assert.equal(head.curve.length, Math.max(0, ...followed.map(({ last }) => last + 1)))
        head.curve.forEach((share, age) => {
          const risk = followed.filter(({ first, last }) => first <= age && age <= last)
          const left = risk.filter(({ gone, last }) => gone && last === age)
          if (risk.length) alone *= 1 - left.length / risk.length
          assert.ok(Math.abs(share - alone) < 1e-12, `age ${age}: ${share}, not ${alone}`)
          assert.equal(head.followed.atRisk[age], risk.length)
          assert.equal(head.followed.merged[age], left.filter((token) => token.fate === 'merged').length)
          assert.equal(head.followed.dropped[age], left.filter((token) => token.fate === 'dropped').length)
        })
        const later = lasted.filter(({ gone, step }) => gone && step > compressed)
        assert.equal(head.later.merged + head.later.dropped, later.length)
        assert.equal(head.lostThen.count(), lasted.filter(({ gone, step }) => gone && step <= compressed).length)
        const { title } = survival(data).plot
        if (later.length) {
          const young = lasted.filter(
            ({ gone, step }, position) => gone && step > compressed && step === candidateFrom(data, position),
          )
          assert.equal(
            title,
            `${percent(young.length / later.length)} of what left while decoding went as soon as it could`,
          )
        } else assert.match(title, /^No token left its slot in /)
      }),
      runs,
    )
  })

  it('counts each of many heads as one that is followed alone, position by position', () => {
    fc.assert(
      fc.property(anyRun, fc.boolean(), (made, narrow) => {
        const given = runMade(made)
        // The engine's columns are narrow; others are read all the same.
        const action = narrow ? Uint8Array.from(given.events!.action) : given.events!.action
        const data = { ...given, events: { ...given.events!, action } }
        for (const head of survivalOf(data, data.events)) {
          const { fate, left, sizes } = livesOf(data, data.events, head.layer, head.kvHead)
          const positions = Array.from(left, (_, position) => position)
          const { seen, full: then } = head
          const young = positions.filter((position) => position < seen).reverse()
          const gone = young.map((position) => left[position] >= 0 && left[position] <= then)
          assert.deepEqual(ages(head.lostThen), gone.map(Number))
          assert.deepEqual(
            ages(head.lostAtEnd),
            young.map((position) => Number(left[position] >= 0)),
          )
          const merged = young.filter((position, age) => gone[age] && fate[position] === 'merged')
          assert.equal(head.mergedThen, merged.length)
          const later = positions.filter((position) => left[position] > then)
          assert.deepEqual(head.later, {
            merged: later.filter((position) => fate[position] === 'merged').length,
            dropped: later.filter((position) => fate[position] === 'dropped').length,
            atOnce: later.filter((position) => left[position] <= candidateFrom(data, position, sizes)).length,
          })
          const ageAt = (step: number, position: number) => data.promptTokens + step - 1 - position
          const followed = positions.slice(positions.length - head.tokens).map((position) => ({
            first: Math.max(0, ageAt(0, position)),
            last: ageAt(left[position] < 0 ? data.steps : left[position], position),
            leaves: left[position] >= 0 && fate[position],
          }))
          const at = (age: number, what: (one: (typeof followed)[number]) => unknown) =>
            followed.filter((one) => one.last >= age && one.first <= age && what(one)).length
          const every = Array.from(head.curve, (_, age) => age)
          const leaving = (fate: string) =>
            every.map((age) => at(age, (one) => one.leaves === fate && one.last === age))
          assert.deepEqual(
            [...head.followed.atRisk],
            every.map((age) => at(age, () => true)),
          )
          assert.deepEqual(
            [[...head.followed.merged], [...head.followed.dropped]],
            [leaving('merged'), leaving('dropped')],
          )
          assert.equal(head.censored, followed.filter(({ leaves }) => leaves === false).length)
        }
      }),
      runs,
    )
  })

  it('knows that a token went with the prompt though its slot went into another that was joined later', () => {
    const data = runOf({
      prompt: 4,
      steps: 2,
      sizes: { budget: 3, recent: 1, residual: 1, sink: 0, context: 1, window: 0 },
      events: [
        [0, 'merge', 1, 0],
        [2, 'merge', 0, 1],
      ],
      slots: [[4], [2, 0, 1], [3], [5]],
    })
    const [head] = survivalOf(data, data.events!)
    assert.deepEqual(
      [ages(head.lostThen), ages(head.lostAtEnd)],
      [
        [0, 0, 1, 0],
        [0, 1, 1, 1],
      ],
    )
    assert.deepEqual([head.mergedThen, head.later.merged], [1, 2])
  })

  it('has at each age the spread of just that age', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        const curves = survivalOf(data, data.events!).filter(({ curve }) => curve.length)
        meanCurve(curves).forEach((spread, age) =>
          assert.deepEqual(spread, spreadOf(curves.map(({ curve }) => curve[Math.min(age, curve.length - 1)]))),
        )
      }),
      runs,
    )
  })

  it('falls and never rises, in every head and in their mean', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const { columns } = survival(runMade(made))
        let before = 1
        ;(columns.alone as number[]).forEach((share, row) => {
          if (columns.clock[row] !== 'age') return
          assert.ok(share <= before + 1e-12 && share >= 0)
          before = share
          assert.ok((columns.low[row] as number) <= (columns.high[row] as number))
        })
      }),
      runs,
    )
  })

  it('says the same whether merged slots or nothing takes in what leaves', () => {
    const merged = survival(runMade({ prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }))
    const dropped = survival(runMade({ prompt: 60, budget: 24, recent: 12, residual: 0, steps: 30, layers: 2 }))
    assert.match(merged.summary, /left in 6 kv heads \(all merged\)/)
    assert.match(dropped.summary, /left in 6 kv heads \(all dropped\)/)
  })

  it('counts a layer alone, layers beside each other and runs below each other', () => {
    const data = runMade({ prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 })
    const all = survivalOf(data, data.events!)
    const later = (layer?: number) =>
      all
        .filter((head) => layer === undefined || head.layer === layer)
        .reduce((sum, { later: { merged } }) => sum + merged, 0)
    assert.ok(survival(data).summary.includes(`${later()} tokens left in 6 kv heads`))
    assert.ok(survival(data, { layer: 1 }).summary.includes(`${later(1)} tokens left in 3 kv heads of layer 1`))
    const { columns } = survival(data, { by: 'layer' })
    assert.deepEqual([...new Set(columns.layer as number[])], [0, 1])
    const two = survival([data, data], { labels: ['one', 'two'] })
    assert.deepEqual([...new Set(two.columns.run as string[])], ['one', 'two'])
    assert.equal(two.plot.panels.length, 2)
    assert.match(
      two.summary,
      /^\d+% \(one\) to \d+% \(two\) of what left while decoding went as soon as it could\. .* one: .*; two: /,
    )
  })

  it('has each kv head’s own protection where heads differ', () => {
    const data = byHand()
    const wider: RunData = { ...data, resolved: { ...data.resolved, recent: 99, budget: 99, heads: [[data.resolved]] } }
    assert.deepEqual(survivalOf(wider, wider.events!), survivalOf(data, data.events!))
  })

  it('knows when nothing could leave', () => {
    const data = fullRun({ prompt: 40, steps: 5, layers: 2 })
    const figure = survival(data)
    assert.equal(
      figure.summary,
      'No token left its slot in 6 kv heads. 45 tokens, each alone in a slot after 5 decode steps.',
    )
    assert.ok((figure.columns.alone as number[]).every((share) => share === 1))
  })

  it('has means, spreads and medians as they are defined', () => {
    assert.deepEqual(spreadOf([0, NaN, 1, 0.5]), { mean: 0.5, low: 0.1, high: 0.9 })
    assert.deepEqual(spreadOf([]), { mean: NaN, low: NaN, high: NaN })
    const curve = [1, 0.6, 0.5, 0.2].map((mean) => ({ mean, low: mean, high: mean }))
    assert.equal(medianAge(curve), 2)
    assert.equal(medianAge(curve.slice(0, 2)), undefined)
  })

  it('says what is wrong with a call', () => {
    const data = runMade({ prompt: 60, budget: 24, recent: 12, residual: 2, steps: 10, layers: 2, trace: false })
    assert.throws(
      () => survival(data),
      /survival shows what happened step by step, and this run kept no events: make the session with trace: true/,
    )
    assert.throws(() => survival([]), /at least one run/)
    assert.throws(
      () => survival(byHand(), { layer: 1 }),
      /expected a whole number from 0 to 0 for layer but received 1/,
    )
    assert.throws(() => survival(byHand(), { by: 'head' as never }), /one of 'run', 'layer' for by/)
    assert.throws(
      () => survival(byHand(), { kvHead: 0 } as never),
      /survival has no option "kvHead".*it has: labels, layer, by/,
    )
    assert.throws(() => survival(byHand(), { labels: ['a', 'b'] }), /expected 1 labels, one per run/)
  })
})
