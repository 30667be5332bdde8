/** The default model's logits against transformers' on the same file: float32 weights within 2e-3, bfloat16 by its divergence. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after } from 'mocha'
import { load, type Model, type Weights } from '../../src/index.js'
import { native } from '../../src/native/binding.js'
import { klDivergence, logSumExp } from '../../src/sampling.js'
import { defaultModel } from '../src/model/default-model.js'

interface GoldenPrompt {
  name: string
  ids: number[]
  positions: number[]
  top: [number, number][][]
  fixed: number[][]
  logSumExp: number[]
}
const golden = JSON.parse(readFileSync(new URL('./smollm2_logits.json', import.meta.url), 'utf8')) as {
  fixedIds: number[]
  prompts: GoldenPrompt[]
}
const LIMIT = 2e-3
const MEAN_KL = 1e-3

async function rowsOf(model: Model, prompt: GoldenPrompt): Promise<Float32Array[]> {
  const session = model.session({ storage: 'float32' })
  const { vocabulary } = model.description
  const logits = new Float32Array(prompt.positions.length * vocabulary)
  const forward = { ids: Int32Array.from(prompt.ids), shareOf: 0, rows: prompt.positions, logits }
  await native().modelForward(model.native, session.cache.native, forward)
  session.dispose()
  return prompt.positions.map((_, i) => logits.subarray(i * vocabulary, (i + 1) * vocabulary))
}

describe('golden logits of smollm2-135m', function () {
  this.timeout(600_000)
  const exact = new Map<string, Float32Array[]>()
  const models: Partial<Record<Weights, Model>> = {}
  const modelWith = async (weights: Weights) =>
    (models[weights] ??= await load((await defaultModel()).path, { weights, progress: false }))
  after(() => Object.values(models).forEach((model) => model.dispose()))

  for (const prompt of golden.prompts)
    it(`float32: ${prompt.name} (${prompt.ids.length} tokens)`, async () => {
      const rows = await rowsOf(await modelWith('float32'), prompt)
      if (prompt.ids.length <= 512)
        exact.set(
          prompt.name,
          rows.map((row) => row.slice()),
        )
      rows.forEach((row, i) => {
        const near = (id: number, logit: number) =>
          assert.ok(
            Math.abs(row[id] - logit) <= LIMIT,
            `position ${prompt.positions[i]}, token ${id}: ${row[id]}, not ${logit}`,
          )
        prompt.top[i].forEach(([id, logit]) => near(id, logit))
        golden.fixedIds.forEach((id, j) => near(id, prompt.fixed[i][j]))
        assert.ok(Math.abs(logSumExp(row) - prompt.logSumExp[i]) <= LIMIT)
        const [[best, first], [, second]] = prompt.top[i]
        if (first - second > LIMIT) assert.ok(row.every((logit, id) => id === best || logit < row[best]))
      })
    })

  it('bfloat16 weights: mean KL against float32 on the prompts up to 512 tokens', async () => {
    const model = await modelWith('bfloat16')
    let [sum, count] = [0, 0]
    for (const prompt of golden.prompts.filter(({ name }) => exact.has(name))) {
      const rows = await rowsOf(model, prompt)
      rows.forEach((row, i) => (sum += klDivergence(exact.get(prompt.name)![i], row)))
      count += rows.length
    }
    assert.ok(count > 0)
    assert.ok(sum / count <= MEAN_KL, `mean KL ${sum / count}`)
  })
})
