/** The page's side of zooming: which part is wanted next, one question at a time, old answers dropped, failures in words. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Counted, Part, Span } from '../../src/figures/part.js'
import { Tiles } from '../../src/figures/page/tiles.js'
import { draggedTo, fitted, moved, partWords, zoomed } from '../../src/figures/page/wanted.js'
import type { Zoom } from '../../src/figures/zoom.js'

const WHOLE: Part = { position: [0, 1000], step: [0, 50] }
const figureOf = (part: Part, id = 'f') => ({ layout: { meta: { zoom: { id, whole: WHOLE, part, axes: {} } } } })

/** A page, and a kernel that answers when it is told to. */
function page() {
  const asked: { part: Part; answer: (given?: unknown) => void; fail: (why: string) => void }[] = []
  const [shown, said, busy]: [Part[], string[], boolean[]] = [[], [], []]
  const ask = (part: Part) =>
    new Promise<Record<string, unknown>>((resolve, reject) =>
      asked.push({
        part,
        answer: (figure = figureOf(part)) => resolve({ figure }),
        fail: (why) => reject(new Error(why)),
      }),
    )
  const tiles = new Tiles(figureOf(WHOLE), ask, {
    show: (figure) => Promise.resolve(shown.push((figure as ReturnType<typeof figureOf>).layout.meta.zoom.part)),
    busy: (is) => void busy.push(is),
    say: (sentence) => void said.push(sentence),
  })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { tiles, asked, shown, said, busy, settled }
}
const part = (from: number, to: number): Part => ({ position: [from, to], step: [0, 50] })

describe('figures: zoom', () => {
  it('asks one question at a time, and shows the last that is wanted alone', async () => {
    const { tiles, asked, shown, said, busy, settled } = page()
    for (const to of [500, 400, 300]) tiles.go(part(0, to))
    assert.deepEqual(
      asked.map(({ part }) => part.position),
      [[0, 500]],
    )
    asked[0].answer()
    await settled()
    assert.deepEqual([shown, asked[1].part.position], [[], [0, 300]])
    asked[1].answer()
    await settled()
    assert.deepEqual([shown, asked.length, tiles.zoom.part], [[part(0, 300)], 2, part(0, 300)])
    assert.deepEqual([said, busy], [['positions 0 to 299; steps 0 to 49, all'], [true, false]])
  })

  it('says why there is no answer, stays where it was, and asks again when it is asked to', async () => {
    const { tiles, asked, shown, said, settled } = page()
    tiles.go(part(0, 500))
    asked[0].fail('no kernel')
    await settled()
    assert.deepEqual([shown, said, tiles.wanted], [[], ['no kernel'], WHOLE])
    tiles.go(part(0, 500))
    asked[1].answer({ layout: {} })
    await settled()
    assert.match(said[1], /something else than a figure: update zslab/)
    tiles.go(part(0, 500))
    asked[2].answer()
    await settled()
    assert.deepEqual(shown, [part(0, 500)])
  })

  it('asks nothing for what is shown already, draws it again where its axes were moved, and nothing once it has ended', async () => {
    const { tiles, asked, shown, said, settled } = page()
    tiles.go(WHOLE)
    assert.deepEqual([asked.length, shown.length], [0, 0])
    tiles.go(WHOLE, true)
    assert.deepEqual([asked.length, shown], [0, [WHOLE]])
    tiles.go(part(0, 5))
    tiles.end()
    asked[0].answer()
    await settled()
    assert.deepEqual([shown.length, said], [1, []])
  })

  it('stays inside, in whole numbers, and goes in until one is left', () => {
    const span = fc
      .tuple(fc.integer({ min: -50, max: 2000 }), fc.integer({ min: 1, max: 3000 }))
      .map(([from, length]): Span => [from, from + length])
    const steps = fc.array(fc.oneof(fc.double({ min: 0.2, max: 4, noNaN: true }), fc.constantFrom('left', 'down')), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(span, span, steps, fc.double({ min: 0, max: 1, noNaN: true }), (position, step, changes, share) => {
        const whole: Part = { position, step }
        let now = whole
        for (const change of changes) {
          if (change === 'left') now = moved(whole, now, -0.5, ['position'])
          else if (change === 'down') now = moved(whole, now, 0.5, ['step'])
          else now = zoomed(whole, now, change as number, { position: now.position![0] + share })
          for (const name of ['position', 'step'] as Counted[]) {
            const [from, to] = now[name]!
            assert.ok(Number.isInteger(from) && Number.isInteger(to) && from < to)
            assert.ok(from >= whole[name]![0] && to <= whole[name]![1])
          }
        }
        for (let i = 0; i < 40; i++) now = zoomed(whole, now, 0.5)
        assert.deepEqual([now.position![1] - now.position![0], now.step![1] - now.step![0]], [1, 1])
        for (let i = 0; i < 40; i++) now = zoomed(whole, now, 2)
        assert.deepEqual(now, whole)
      }),
      { seed: 3 },
    )
    // What is under the pointer stays there.
    assert.deepEqual(zoomed(WHOLE, WHOLE, 0.5, { position: 200, step: 50 }), { position: [100, 600], step: [25, 50] })
    assert.deepEqual(moved(WHOLE, part(100, 200), 0.5, ['position']), part(150, 250))
    assert.deepEqual(
      [fitted([0, 10], 4.4, 4.4), fitted([0, 10], -5, 3)],
      [
        [4, 5],
        [0, 8],
      ],
    )
  })

  it('follows what plotly.js did to its axes', () => {
    const axes: Zoom['axes'] = { xaxis: 'position', yaxis: 'step', xaxis2: 'position' }
    const zoom: Zoom = { id: 'f', whole: WHOLE, part: part(0, 500), axes }
    const frame = { 'xaxis.range[0]': 10.2, 'xaxis.range[1]': 19.9, 'yaxis.range[0]': 7.5, 'yaxis.range[1]': 2.5 }
    assert.deepEqual(draggedTo(zoom, frame), { position: [10, 20], step: [2, 8] })
    assert.deepEqual(draggedTo(zoom, { 'xaxis2.range': [700, 900] }), part(700, 900))
    assert.deepEqual(draggedTo(zoom, { 'xaxis.autorange': true, 'yaxis.autorange': true }), WHOLE)
    for (const none of [{}, { autosize: true }, { 'xaxis3.range[0]': 1, 'xaxis3.range[1]': 2 }, { dragmode: 'pan' }])
      assert.equal(draggedTo(zoom, none), undefined)
  })

  it('says which part it is', () => {
    assert.equal(partWords(WHOLE, WHOLE), 'positions 0 to 999, all; steps 0 to 49, all')
    assert.equal(partWords({ position: [0, 32768] }, { position: [1200, 1300] }), 'positions 1,200 to 1,299')
    assert.equal(partWords(WHOLE, { position: [7, 8], step: [1, 3] }), 'position 7; steps 1 to 2')
  })
})
