/** A long session of cells with plots and redeclared variables: its memory stays, its cells still run. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { leftOut } from '../left-out.js'
import { kernelTests } from './cells/cells.js'
import type { Kernel } from './client.js'

const CELLS = process.env.ZSLAB_TEST_SCALE === 'full' ? 2000 : 400
const WARM = 200

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

/** Resident memory of a process and all below it, in MB. */
function memoryOf(root: number): number | undefined {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,rss='], { encoding: 'utf8' })
  if (!stdout) return undefined
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const under = (pid: number): number =>
    all.filter(([, parent]) => parent === pid).reduce((sum, [one]) => sum + under(one), kilobytes(pid))
  const kilobytes = (pid: number) => all.find(([one]) => one === pid)?.[2] ?? 0
  return under(root) / 1024
}

kernelTests('a long session', (cells) => {
  let kernel: Kernel
  before(() => void (kernel = cells.kernel))

  it(`${CELLS} cells with plots: what their process holds does not grow, nor does the kernel`, async function () {
    this.timeout(600_000)
    if (memoryOf(process.pid) === undefined) return leftOut('memory of a long session', 'a program called ps')
    await kernel.execute(COLLECT)
    const held = async () => Number((await kernel.execute('held()')).result!.data['text/plain'])
    const warm = { whole: 0, heap: 0 }
    for (let i = 1; i <= CELLS; i++) {
      const { of, stdout, result } = await kernel.execute(plot(i))
      const [shown] = of('display_data')
      assert.match(JSON.stringify(shown.data), new RegExp(`plot ${i}"`))
      assert.deepEqual([stdout, result!.data['text/plain']], [`cell ${i}\n`, '1'])
      kernel.messages.length = 0
      if (i === WARM) Object.assign(warm, { whole: memoryOf(kernel.pid), heap: await held() })
    }
    const end = memoryOf(kernel.pid)!
    const perCell = ((await held()) - warm.heap) / (CELLS - WARM)
    assert.ok(perCell < 16, `the cell process holds ${perCell.toFixed(1)} kB more with each cell`)
    const said = `${warm.whole.toFixed(0)} MB after ${WARM} cells, ${end.toFixed(0)} MB after ${CELLS}`
    assert.ok(end < warm.whole * 1.2, said)
  })
})
