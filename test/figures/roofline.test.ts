/** Figure of a prediction: what it says, where its lines end, and what wrong calls are told. */
import assert from 'node:assert/strict'
import { roofline } from '../../src/figures/index.js'
import type { Line, Points } from '../../src/figures/plot.js'
import { ROOFLINES } from './synthetic-roofline.js'

const lines = (of: ReturnType<typeof roofline>) =>
  of.plot.panels[0].marks.filter((mark): mark is Line => mark.kind === 'line')

describe('figure of a prediction', () => {
  it('says that it is predicted, and what the limits are', () => {
    const { summary } = roofline(ROOFLINES.long)
    assert.match(
      summary,
      /^llama2-7b, 55,296 tokens: the limit of tokens\/s with 2,764 slots per kv head is 2\.9 times the full cache’s \(predicted, not measured\)\. At most 70\.1 tokens\/s with the full cache, 203 compressed\./,
    )
    assert.match(roofline(ROOFLINES.far).summary, /compressing pays at no context\./)
    assert.match(roofline(ROOFLINES.nowhere).summary, /Memory is full before any with the full cache, before any with/)
  })

  it('ends lines where memory does, and marks what was asked for and the break-even', () => {
    const { small } = ROOFLINES
    const figure = roofline(small)
    const [upright, full, compressed] = lines(figure)
    assert.deepEqual(upright.x, [small.breakEven[0].withLatency, small.breakEven[0].withLatency])
    assert.equal(full.x.at(-1), small.full.longest)
    assert.equal(compressed.x.at(-1), small.curve.context.at(-1))
    const points = figure.plot.panels[0].marks.filter((mark): mark is Points => mark.kind === 'points')
    assert.deepEqual(
      points.map(({ x, y }) => [x[0], y[0]]),
      [
        [8192, small.full.tokensPerSecond],
        [8192, small.compressed.tokensPerSecond],
      ],
    )
    // At the break-even the full cache's line meets the dashed one.
    const at = (line: Line, context: number) => {
      const i = line.x.findIndex((x) => x >= context)
      const part = Math.log(context / line.x[i - 1]) / Math.log(line.x[i] / line.x[i - 1])
      return line.y[i - 1] ** (1 - part) * line.y[i] ** part
    }
    const [, , , dashed] = lines(figure)
    const pays = small.breakEven[0].withLatency!
    assert.ok(Math.abs(Math.log(at(full, pays) / at(dashed, pays))) < 0.01)
    assert.ok(lines(roofline(ROOFLINES.nowhere)).every(({ name, x }) => name === 'break-even' || x.length === 0))
  })

  it('has a row for each context and cache as its data', () => {
    const { curve } = ROOFLINES.long
    const { cache, context, tokensPerSecond, label } = roofline(ROOFLINES.long).columns
    assert.equal(cache.length, 3 * curve.context.length)
    assert.deepEqual(Array.from(context).slice(0, curve.context.length), curve.context)
    assert.deepEqual(Array.from(tokensPerSecond).slice(0, curve.full.length), curve.full)
    assert.equal(label[0], 'predicted, not measured')
  })

  it('refuses something else', () => {
    assert.throws(
      () => roofline(Promise.resolve() as never),
      /expected a result of roofline\(\) for predicted but .*await it/,
    )
    assert.throws(() => roofline(ROOFLINES.long, { by: 1 } as never), /roofline has no option "by"/)
  })
})
