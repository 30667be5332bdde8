/** Parts of long figures: of any part the picture is what the data of that part says, down to single tokens, steps, slots and ages. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { RunData } from '../../src/figures/data.js'
import { candidateFrom, eventsOf, livesOf } from '../../src/figures/fates.js'
import {
  difference,
  divergence,
  evictionMap,
  regretStrip,
  survival,
  tokenStrip,
  type Figure,
} from '../../src/figures/index.js'
import type { Part, Span } from '../../src/figures/part.js'
import type { Boxes, Line, Panel } from '../../src/figures/plot.js'
import { staysOf } from '../../src/figures/slot-map.js'
import { survivalOf } from '../../src/figures/survival-counts.js'
import { spreadOf } from '../../src/figures/survival-spread.js'
import type { Zoom } from '../../src/figures/zoom.js'
import { runMade } from './made-runs.js'
import { alike } from '../scale.js'
import { lossesMade } from './synthetic-losses.js'
import { differenceMade, shadowMade } from './synthetic.js'

const runs = { numRuns: alike(1000, 40), seed: 5 }
const DISPLAY = Symbol.for('Jupyter.display')
const long = (): RunData =>
  runMade({ layers: 2, kvHeads: 2, prompt: 3000, steps: 200, budget: 300, recent: 100, residual: 3 })
/** Some part of `whole`, at most `most` long. */
const spanIn = ([least, end]: Span, most = Infinity) =>
  fc
    .tuple(fc.integer({ min: least, max: end - 1 }), fc.integer({ min: 1, max: Math.min(most, end - least) }))
    .map(([from, length]): Span => [from, Math.min(end, from + length)])

/** What the boxes of a panel say of a place: their names with the colours that stand for something. */
function at({ marks }: Panel, x: number, y: number): string[] {
  return marks.flatMap((mark) => {
    if (mark.kind !== 'boxes') return []
    const { x0, x1, y0, y1, colors, name } = mark
    return x0.flatMap((from, i) =>
      from <= x && x < x1[i] && y0[i] <= y && y < y1[i] ? [colors ? `${name} ${colors[i]}` : name] : [],
    )
  })
}

function inside({ marks }: Panel, x: Span, y: Span): void {
  for (const mark of marks) {
    if (mark.kind !== 'boxes') continue
    for (const [from, to, [least, most]] of [
      [mark.x0, mark.x1, x],
      [mark.y0, mark.y1, y],
    ] as const)
      assert.ok(from.every((at) => at >= least) && to.every((at) => at <= most), mark.name)
  }
}

describe('figures: parts', function () {
  this.timeout(600_000)

  it('a strip of a part is the strip that is made of it', () => {
    const data = long()
    const run = runMade({ layers: 2, kvHeads: 2, prompt: 300, steps: 30, budget: 100, recent: 40 })
    const shadow = lossesMade(run)
    const strips: [Figure, (span: Span) => Figure, Span][] = [
      [tokenStrip(data), ([from, to]) => tokenStrip(data, { from, to }), [0, 3200]],
      [tokenStrip(data, { layer: 1 }), ([from, to]) => tokenStrip(data, { layer: 1, from, to }), [0, 3200]],
      [tokenStrip(data, { from: 40, to: 900 }), ([from, to]) => tokenStrip(data, { from, to }), [40, 900]],
      [regretStrip(run, shadow), ([from, to]) => regretStrip(run, shadow, { from, to }), [0, run.tokens.length]],
    ]
    for (const [figure, made, whole] of strips)
      fc.assert(
        fc.property(spanIn(whole), (position) => {
          assert.deepEqual(figure.part({ position }).plotly, made(position).plotly)
        }),
        { seed: 5, numRuns: alike(250, 10) },
      )
    const { panels } = tokenStrip(data).part({ position: [1000, 1020] }).plot
    assert.equal(panels.length, 1)
    assert.equal((panels[0].marks[0] as Boxes).x0.length, 20, 'not every token is spelt out')
  })

  it('the eviction map shows each token at each step as it was', () => {
    const data = long()
    const lives = livesOf(data, eventsOf(data, ''), 1, 1)
    const figure = evictionMap(data, { layer: 1, kvHead: 1 })
    fc.assert(
      fc.property(spanIn([0, 3200], 25), spanIn([0, 201], 25), (position, step) => {
        const { panels } = figure.part({ position, step }).plot
        assert.equal(panels.length, 1)
        inside(panels[0], position, step)
        for (let token = position[0]; token < position[1]; token++)
          for (let now = step[0]; now < step[1]; now++) {
            const { entered, left, fate, slot } = lives
            const own = left[token] < 0 || now < left[token]
            const expected =
              now < entered[token]
                ? []
                : own
                  ? [now < candidateFrom(data, token, lives.sizes) ? 'recent, protected' : 'in a slot of its own']
                  : fate[token] === 'merged'
                    ? [`merged tint${slot[token]}`]
                    : []
            assert.deepEqual(at(panels[0], token + 0.5, now + 0.5), expected, `token ${token}, step ${now}`)
          }
        const points = panels[0].marks.filter((mark) => mark.kind === 'points')
        const ends = points.flatMap(({ x, y }) => x.map((place, i) => `${place - 0.5} ${y[i]}`)).sort()
        const left = Array.from(lives.left.entries())
          .filter(
            ([token, at]) => at >= 1 && token >= position[0] && token < position[1] && at >= step[0] && at < step[1],
          )
          .map(([token, at]) => `${token} ${at}`)
        assert.deepEqual(ends, left.sort())
      }),
      runs,
    )
  })

  it('the slot map shows who is in each slot at each step', () => {
    const data = long()
    const stays = staysOf(data, 1, 0)
    const figure = evictionMap(data, { layer: 1, kvHead: 0, by: 'slot' })
    fc.assert(
      fc.property(spanIn([0, 300], 30), spanIn([0, 201], 30), (slots, step) => {
        const [panel] = figure.part({ slot: slots, step }).plot.panels
        inside(panel, slots, step)
        for (let slot = slots[0]; slot < slots[1]; slot++)
          for (let now = step[0]; now < step[1]; now++) {
            const stay = stays.find((one) => one.slot === slot && one.from <= now && now < one.to)!
            const [said, ...more] = at(panel, slot + 0.5, now + 0.5)
            assert.equal(more.length, 0)
            if (stay.merged) assert.equal(said, 'merged tokens')
            else if (stay.position >= data.promptTokens) assert.equal(said, 'generated')
            else assert.equal(said, `of the prompt ramp:${Math.round((stay.position / 2999) * 200) / 200}`)
          }
      }),
      runs,
    )
  })

  it('survival of a part has each age by itself', () => {
    const data = long()
    const heads = survivalOf(data, data.events!)
    const figure = survival(data)
    // Some heads' tokens were followed for longer than others'.
    const lengths = heads.map(({ curve }) => curve.length)
    const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)]
    const lineOf = (panel: Panel, names: string[]) => {
      const lines = panel.marks.filter((mark): mark is Line => mark.kind === 'line' && names.includes(mark.name))
      return (age: number) => {
        for (const { x, y } of lines)
          for (let i = 1; i < x.length; i++) if (x[i - 1] <= age && age < x[i] && y[i - 1] === y[i]) return y[i]
        return undefined
      }
    }
    fc.assert(
      fc.property(spanIn([0, 3000], 100), (age) => {
        const { panels } = figure.part({ age }).plot
        const [then, since] = panels
        assert.equal(panels.length, age[0] < longest ? 2 : 1)
        const [kept, keptThen] = [lineOf(then, ['recent, protected', 'older, may leave']), lineOf(then, ['kept then'])]
        for (let one = age[0]; one < age[1]; one++) {
          assert.equal(kept(one), spreadOf(heads.map(({ lostAtEnd }) => (lostAtEnd.has(one) ? 0 : 1))).mean)
          assert.equal(keptThen(one), spreadOf(heads.map(({ lostThen }) => (lostThen.has(one) ? 0 : 1))).mean)
          if (!since || one >= shortest) continue
          const { mean } = spreadOf(heads.map(({ curve }) => curve[one]))
          assert.equal(lineOf(since, ['recent, protected', 'older, may leave'])(one), mean)
        }
      }),
      runs,
    )
  })

  it('two runs’ difference shows each token', () => {
    const [a, b] = [300, 200].map((budget) => runMade({ layers: 1, kvHeads: 1, prompt: 3000, steps: 50, budget }))
    const made = differenceMade(a, b)
    const { fates } = made.head({ layer: 0, kvHead: 0 })
    fc.assert(
      fc.property(spanIn([0, fates[0].length], 200), (position) => {
        const { panels } = difference(made).part({ position }).plot
        for (let token = position[0]; token < position[1]; token++) {
          const [own, other] = fates.map((fate) => fate[token] === 0)
          const lane = own ? (other ? ['both'] : ['only a']) : other ? ['only b'] : []
          const said = [2.1, 1.1, 0.1].flatMap((y) => at(panels[1], token + 0.5, y))
          assert.deepEqual(said, lane, `token ${token}`)
        }
      }),
      runs,
    )
  })

  it('says that it is coarse where it is, with what a page needs to look closer, and only then', () => {
    const shown = (figure: Figure) => (figure as unknown as Record<symbol, () => Record<string, unknown>>)[DISPLAY]()
    const zoomOf = (bundle: Record<string, unknown>) =>
      (bundle['application/vnd.plotly.v1+json'] as { layout: { meta?: { zoom?: Zoom } } }).layout.meta?.zoom
    const map = evictionMap(long(), { layer: 0 })
    const bundle = shown(map)
    const { id, ...zoom } = zoomOf(bundle)!
    const whole = { position: [0, 3200], step: [0, 201] }
    const axes = { xaxis: 'position', yaxis: 'step', xaxis2: 'position', yaxis2: 'step' }
    assert.deepEqual(JSON.parse(JSON.stringify(zoom)), { whole, part: whole, axes })
    assert.match(JSON.stringify(bundle['application/vnd.plotly.v1+json']), /Drawn coarsely/)
    assert.equal(bundle['image/svg+xml'], map.svg, 'in print nothing can be zoomed into')
    assert.equal(zoomOf(shown(map))!.id, id)
    assert.notEqual(zoomOf(shown(evictionMap(long(), { layer: 0 })))!.id, id)
    const small = runMade({ layers: 1, kvHeads: 1, prompt: 30, steps: 5, budget: 20, recent: 8, residual: 2 })
    for (const figure of [evictionMap(small), evictionMap(small, { by: 'slot' }), tokenStrip(small), survival(small)])
      assert.equal(zoomOf(shown(figure)), undefined)
  })

  it('says what is wrong with a part', () => {
    const map = evictionMap(long(), { layer: 0 })
    const wrong = (part: unknown, words: RegExp) =>
      assert.throws(() => map.part(part as Part), { code: 'invalid', message: words })
    wrong({ position: [0, 3201] }, /expected \[from, to\] in whole numbers with 0 ≤ from < to ≤ 3200 for position/)
    for (const span of [[5, 5], [7, 3], [-1, 4], [0.5, 4], [0, NaN], [0], [0, 1, 2], 'all', null])
      wrong({ step: span }, /with 0 ≤ from < to ≤ 201 for step/)
    wrong({ age: [0, 4] }, /has no option "age".*it has: position, step/)
    wrong([0, 4], /expected an object for figure\.part/)
    assert.throws(() => divergence(shadowMade(0.1)).part({ position: [0, 1] }), /has no parts/)
    assert.deepEqual(map.part({}).plotly, map.plotly)
    assert.deepEqual(map.part({ position: [5, 9] }).part({ step: [2, 3] }).plotly, map.part({ step: [2, 3] }).plotly)
  })
})
