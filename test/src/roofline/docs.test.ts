/** The numbers in docs/roofline.md and docs/several-gpus.md are those that the prediction gives. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { roofline, type RooflineOptions } from '../../../src/index.js'
import { projectRoot } from '../../../src/native/binding.js'
import { rooflineText } from '../../../src/show/roofline-text.js'

const page = (name: string) => readFileSync(join(projectRoot, 'docs', name), 'utf8')
const LLAMA2 = { model: 'llama2-7b', context: 54 * 1024, keep: 0.05, device: 'h100' } as const
const LLAMA3 = { model: 'llama3.1-70b', context: 2 ** 17, keep: 0.1, batch: 16, device: 'h200' } as const

const figure = (value: number) => (value < 100 ? value.toPrecision(3) : Math.round(value).toLocaleString('en-US'))

/** '261 (7.1%)' of both caches on each of `devices`. */
async function cellsOf(options: RooflineOptions, devices: readonly number[]): Promise<string[][]> {
  const { scaling } = await roofline({ ...options, devices: devices.at(-1) })
  return devices.map((count) => {
    const { full, compressed } = scaling!.find((one) => one.devices === count)!
    return [full, compressed].map(({ tokensPerSecond, exchangeShare }) =>
      [figure(tokensPerSecond), ...(count > 1 ? [`(${(100 * exchangeShare).toFixed(1)}%)`] : [])].join(' '),
    )
  })
}

describe('docs of the prediction', () => {
  it('show what the command prints', async () => {
    const shown = /^\$ npx zslab roofline --model llama2-7b --context 54k --keep 0\.05 --device h100\n(.*?)\n```$/ms
    assert.equal(shown.exec(page('roofline.md'))![1], rooflineText(await roofline(LLAMA2)))
  })

  it('have the simulated figures of several devices', async () => {
    const text = page('several-gpus.md')
    for (const [options, devices] of [
      [LLAMA2, [1, 2, 4, 8]],
      [LLAMA3, [4, 8]],
    ] as [RooflineOptions, number[]][]) {
      const [reduced, gathered] = await Promise.all(
        (['reduce', 'gather'] as const).map((exchange) => cellsOf({ ...options, exchange }, devices)),
      )
      devices.forEach((count, i) => {
        const row = ` | ${[count, ...reduced[i], ...gathered[i]].join(' | ')} |\n`
        assert.ok(text.includes(row), row)
      })
    }
    const heads = await roofline({ ...LLAMA3, devices: 4 })
    const layer = await roofline({ ...LLAMA3, devices: 4, granularity: 'layer' })
    const [from, to] = [heads, layer].map(({ compressed }) => figure(compressed.tokensPerSecond))
    const flowing = text.replace(/\s+/g, ' ')
    const { moving } = await roofline({ ...LLAMA3, devices: 4, hosts: 4 })
    const ms = (microseconds: number) => `${Math.round(microseconds / 1000)} ms`
    for (const words of [
      `falls from ${from} to ${to} tokens/s at most, compressed`,
      `has room for ${heads.full.largestBatch} sequences, the compressed one for ${heads.compressed.largestBatch}`,
      `at least ${ms(moving!.full)} for a full cache and ${ms(moving!.compressed)} for a compressed one; the weights, once, ${ms(moving!.weights)}`,
    ])
      assert.ok(flowing.includes(words), words)
  })
})
