/** A long session of cells with plots and redeclared variables: its memory stays, its cells still run. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { leftOut } from '../left-out.js'
import { alike } from '../scale.js'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

/** Of these the first count for nothing: heaps take their size. */
const CELLS = alike(4000, 600)
const WARM = Math.ceil(CELLS / 4)
const EVERY = 20

const plot = (i: number) => `const samples = Array.from({ length: 100 }, (_, n) => n * ${i})
let total${i % 7} = samples.reduce((a, b) => a + b, 0)
function scale(v: number): number {
  return v * ${i} + total${i % 7}
}
const figure = { data: [{ type: 'scatter', x: samples, y: samples.map(scale) }], layout: { title: { text: 'plot ${i}' } } }
display(figure)
console.log('cell ${i}')
figure.data.length`

/** `held()`: kB on the heap of the cell process, after a collection. */
const COLLECT = `import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
function held(): number {
  collect()
  return process.memoryUsage().heapUsed / 1024
}`

/** Resident memory in MB of a process and of each below it. */
function memoryOf(root: number): number[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,rss='], { encoding: 'utf8' })
  const all = (stdout ?? '')
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const under = (pid: number): number[] => [
    ...all.filter(([one]) => one === pid).map(([, , rss]) => rss / 1024),
    ...all.filter(([, parent]) => parent === pid).flatMap(([one]) => under(one)),
  ]
  return under(root)
}

const total = (samples: number[]) => samples.reduce((a, b) => a + b, 0)
/** Heaps rise, the compiler's by a hundred MB in 1,500 cells, until they are swept: what counts is the least. */
const least = (samples: number[][]) => samples.reduce((a, b) => (total(b) < total(a) ? b : a))
const told = (sample: number[]) => `${total(sample).toFixed(0)} MB (${sample.map((one) => one.toFixed(0)).join(' + ')})`

kernelTests('a long session', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

  it(`${CELLS} cells with plots: what their process holds does not grow, nor does the kernel`, async function () {
    this.timeout(600_000)
    if (memoryOf(process.pid).length === 0) return leftOut('memory of a long session', 'a program called ps')
    await kernel.execute(COLLECT)
    const held = async () => Number((await kernel.execute('held()')).result!.data['text/plain'])
    const samples: number[][] = []
    let warm = 0
    for (let i = 1; i <= CELLS; i++) {
      const { of, stdout, result } = await kernel.execute(plot(i))
      const [shown] = of('display_data')
      assert.match(JSON.stringify(shown.data), new RegExp(`plot ${i}"`))
      assert.deepEqual([stdout, result!.data['text/plain']], [`cell ${i}\n`, '1'])
      kernel.messages.length = 0
      if (i > WARM && i % EVERY === 0) samples.push(memoryOf(kernel.pid))
      if (i === WARM) warm = await held()
    }
    const perCell = ((await held()) - warm) / (CELLS - WARM)
    assert.ok(perCell < 16, `the cell process holds ${perCell.toFixed(1)} kB more with each cell`)
    const half = samples.length >> 1
    const [first, last] = [samples.slice(0, half), samples.slice(half)].map(least)
    const said = `${told(first)} in the first half of the cells after ${WARM}, ${told(last)} in the second`
    assert.ok(total(last) < total(first) * 1.2, said)
  })
})
