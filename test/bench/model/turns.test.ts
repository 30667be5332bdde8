/** bench/model/turns.ts and what it prints; words.ts, ceiling.ts and lines.ts. */
import assert from 'node:assert/strict'
import { stepBytes } from '../../../bench/model/ceiling.js'
import { lines } from '../../../bench/model/lines.js'
import { inTurns, rowText, spread } from '../../../bench/model/turns.js'
import { asked } from '../../../bench/model/words.js'
import { load } from '../../../src/index.js'
import { toyPath } from '../../src/model/files.js'

const near = (found: number, wanted: number) => assert.ok(Math.abs(found - wanted) < 1e-9, `${found}, not ${wanted}`)

describe('turns of the model bench', () => {
  it('a spread is between the values around a tenth, half and nine tenths', () => {
    const { low, median, high } = spread([5, 1, 4, 2, 3, 6])
    near(low, 1.5)
    near(median, 3.5)
    near(high, 5.5)
  })

  it('all are asked once a turn, one after another; warm turns do not count', async () => {
    const order: string[] = []
    const contender = (name: string) => ({ name, ask: async () => order.push(name) })
    const taken = await inTurns(2, [contender('a'), contender('b')], 1)
    assert.deepEqual(order, ['a', 'b', 'a', 'b', 'a', 'b'])
    assert.deepEqual(taken, [
      { name: 'a', values: [3, 5] },
      { name: 'b', values: [4, 6] },
    ])
  })

  it('ratios are of one turn; the share is of the pattern that reads fastest', () => {
    const text = rowText({
      title: 'decode',
      unit: 'ms',
      digits: 1,
      ours: { name: 'ours', values: [10, 20, 40] },
      theirs: [{ name: 'theirs', values: [30, 40, 80] }],
      limit: {
        bytes: 100e6,
        patterns: ['slow', 'fast'],
        rates: [
          [99, 20],
          [5, 20],
          [5, 20],
        ],
      },
    })
    const [title, ours, theirs] = text.split('\n').map((line) => line.trim().replace(/ {2,}/g, ' | '))
    assert.equal(title, 'decode, ms')
    assert.equal(ours, 'ours | 20.0 (12.0–36.0) | 25 (15–45)% of the byte limit: 100 MB at 20.0 GB/s (fast), 5.0 ms')
    assert.equal(theirs, 'theirs | 40.0 (32.0–72.0) | 2.00 (2.00–2.80) × ours')
  })

  it('words: rows in their order, options, and a sentence for what cannot be', () => {
    const rows = ['decode', 'prompt', 'load']
    assert.deepEqual(asked([], rows), { rows, options: { turns: 11, threads: 2 }, wrong: undefined })
    const some = asked(['load', 'turns=5', 'decode', 'lengths=1k,8k', 'weights=float32', 'threads=1'], rows)
    assert.deepEqual(some.rows, ['decode', 'load'])
    assert.deepEqual(some.options, { turns: 5, threads: 1, weights: 'float32', lengths: ['1k', '8k'] })
    for (const word of ['speed', 'turns=0', 'turns=x', 'turns', 'lengths=2k', 'weights=', 'decode=1'])
      assert.match(asked([word], rows).wrong ?? '', new RegExp(`^model has no ${word}; it has the rows decode, prompt`))
  })

  it('bytes of a step: the tensors that it reads as the file has them, and two bytes a number of the slots', async () => {
    const model = await load(toyPath, { progress: false })
    const { layers, kvHeads, headDim, tiedOutput } = model.description
    const { tensors } = model.file.gguf
    const embedding = tensors.find(({ name }) => name === 'token_embd.weight')!
    const weights = tensors.reduce((sum, { bytes }) => sum + bytes, 0) - (tiedOutput ? 0 : embedding.bytes)
    assert.equal(stepBytes(model, 0), weights)
    assert.equal(stepBytes(model, 10) - weights, 10 * layers * kvHeads * headDim * 2 * 2)
    model.dispose()
  })
})

describe('lines of a child process', () => {
  const echo = "process.stdin.on('data', (d) => process.stdout.write(String(d).toUpperCase()))"

  it('answers come in the order of the questions', async () => {
    const child = lines(process.execPath, ['-e', echo])
    assert.deepEqual(await Promise.all([child.ask('a'), child.ask('b')]), ['A', 'B'])
    await child.end()
    await assert.rejects(child.ask('c'), /ended/)
  })

  it('a child that dies fails what waits, with its last word', async () => {
    const child = lines(process.execPath, ['-e', "console.error('no memory'); process.exit(3)"])
    await assert.rejects(child.ask('a'), /ended: no memory$/)
    await assert.rejects(lines('/nowhere/program', []).ask('a'), /cannot run/)
  })
})
