/**
 * Variants `kvpress` against kvpress 0.5.5 on the default model: the same tokens stay of two prompts, kv head by kv head, at ratios 0.5,
 * 0.8 and 0.9. Where the scores at the cut are less than GAP apart float32 may exchange two tokens; counts are equal all the same.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { adakv, load, snapkv, tova, type Model, type Policy } from '../../src/index.js'
import { native } from '../../src/native/binding.js'
import { defaultModel } from '../src/model/default-model.js'

interface Run {
  ratio: number
  counts: number[][]
  kept: string
  /** float32 [layers, kvHeads]: between the lowest score kept and the highest dropped, relative. */
  gaps: string
  close: [number, number][]
}
interface Prompt {
  name: string
  ids: number[]
  presses: { press: string; runs: Run[] }[]
}
const golden = JSON.parse(readFileSync(new URL('./kvpress_kept.json', import.meta.url), 'utf8')) as {
  layers: number
  kvHeads: number
  prompts: Prompt[]
}
const GAP = 1e-4
/** Below it fewer slots are kept than the window has tokens: which of them is a tie in kvpress. */
const WINDOW = 64

const POLICIES: Record<string, (budget: number) => Policy> = {
  SnapKVPress: (budget) => snapkv({ variant: 'kvpress', budget }),
  TOVAPress: (budget) => tova({ variant: 'kvpress', budget }),
  'AdaKVPress(SnapKVPress)': (budget) => adakv({ of: snapkv({ variant: 'kvpress', budget }), floor: 0.2 }),
}

/** Positions that each [layer][kvHead] keeps, from rows of ceil(n / 8) bytes, lowest bit first. */
function masks({ kept }: Run, n: number): number[][][] {
  const bits = Buffer.from(kept, 'base64')
  const bytes = Math.ceil(n / 8)
  const row = (at: number) =>
    Array.from({ length: n }, (_, t) => t).filter((t) => (bits[at * bytes + (t >> 3)] >> (t & 7)) & 1)
  return Array.from({ length: golden.layers }, (_, layer) =>
    Array.from({ length: golden.kvHeads }, (_, head) => row(layer * golden.kvHeads + head)),
  )
}

async function keptBy(model: Model, policy: Policy, ids: number[]): Promise<number[][][]> {
  const session = model.session({ storage: 'float32', policy })
  try {
    await native().modelForward(model.native, session.cache.native, { ids: Int32Array.from(ids), shareOf: 0 })
    return Array.from({ length: golden.layers }, (_, layer) =>
      session.cache.state(layer).origins.map((head) => head.flat().sort((a, b) => a - b)),
    )
  } finally {
    session.dispose()
  }
}

describe('kept tokens of kvpress 0.5.5 on smollm2-135m', function () {
  this.timeout(600_000)
  let model: Model
  before(async () => {
    model = await load((await defaultModel()).path, { weights: 'float32', progress: false })
  })
  after(() => model?.dispose())

  for (const [press, policy] of Object.entries(POLICIES))
    for (const prompt of golden.prompts)
      for (const run of prompt.presses.find((each) => each.press === press)!.runs)
        it(`${press}: ${prompt.name} (${prompt.ids.length} tokens), ratio ${run.ratio}`, async () => {
          const n = prompt.ids.length
          const given = await keptBy(model, policy(1 - run.ratio), prompt.ids)
          const expected = masks(run, n)
          const slots = Math.trunc(n * (1 - run.ratio))
          const exceptions = new Set(run.close.map(String))
          const gaps = new DataView(Uint8Array.from(Buffer.from(run.gaps, 'base64')).buffer)
          let equal = 0
          for (let layer = 0; layer < golden.layers; layer++) {
            const total = (counts: number[]) => counts.reduce((a, b) => a + b)
            assert.equal(total(given[layer].map((head) => head.length)), total(run.counts[layer]), `layer ${layer}`)
            for (let head = 0; head < golden.kvHeads; head++) {
              const where = `layer ${layer}, kv head ${head}`
              const own = given[layer][head]
              assert.equal(
                expected[layer][head].length,
                run.counts[layer][head],
                `the file contradicts itself: ${where}`,
              )
              if (slots < WINDOW && press !== 'TOVAPress')
                assert.ok(
                  own.every((t) => t >= n - WINDOW),
                  `${where} keeps tokens outside the window`,
                )
              if (exceptions.has(String([layer, head]))) continue
              assert.equal(own.length, run.counts[layer][head], where)
              if (gaps.getFloat32(4 * (layer * golden.kvHeads + head), true) < GAP) {
                const exchanged = own.filter((t) => !expected[layer][head].includes(t))
                assert.ok(exchanged.length <= 1, `${where}: ${exchanged.length} tokens are not those of kvpress`)
              } else {
                assert.deepEqual(own, expected[layer][head], where)
                equal++
              }
            }
          }
          if (exceptions.size < golden.layers * golden.kvHeads)
            assert.ok(equal > 50, `only ${equal} heads were compared`)
        })
})
