/** How far the logits of the weights as they are held by default are from those of float32 weights, on the golden prompts. */
import { readFileSync } from 'node:fs'
import { load, type Model } from '../../src/index.js'
import { native } from '../../src/native/binding.js'
import { klDivergence } from '../../src/sampling.js'
import { best } from './peers.js'
import { NAME, type Setting } from './setting.js'

interface GoldenPrompt {
  name: string
  ids: number[]
  positions: number[]
}

const GOLDEN = new URL('../../test/golden/smollm2_logits.json', import.meta.url)

export async function logits(setting: Setting): Promise<void> {
  const { prompts } = JSON.parse(readFileSync(GOLDEN, 'utf8')) as { prompts: GoldenPrompt[] }
  const model = await setting.model('default')
  const exact = await load(NAME, { threads: setting.options.threads, weights: 'float32', progress: false })
  console.log(`logits, default file, weights ${model.weights} beside float32, float32 caches`)
  for (const prompt of prompts) {
    const [rows, wanted] = [await rowsOf(model, prompt), await rowsOf(exact, prompt)]
    const far = rows.map((row, i) => row.reduce((most, x, j) => Math.max(most, Math.abs(x - wanted[i][j])), 0))
    const equal = rows.filter((row, i) => best(row) === best(wanted[i])).length
    const kl = rows.reduce((sum, row, i) => sum + klDivergence(wanted[i], row), 0) / rows.length
    const name = `${prompt.name} (${prompt.ids.length} tokens)`.padEnd(46)
    console.log(
      `  ${name}largest difference ${Math.max(...far).toExponential(1)}, mean KL ${kl.toExponential(1)}, best token equal in ${equal} of ${rows.length} rows`,
    )
  }
  console.log()
  exact.dispose()
}

/** Logits at the prompt's positions. */
async function rowsOf(model: Model, { ids, positions }: GoldenPrompt): Promise<Float32Array[]> {
  const session = model.session({ storage: 'float32' })
  const { vocabulary } = model.description
  const logits = new Float32Array(positions.length * vocabulary)
  await native().modelForward(model.native, session.cache.native, {
    ids: Int32Array.from(ids),
    shareOf: 0,
    rows: positions,
    logits,
  })
  session.dispose()
  return positions.map((_, i) => logits.subarray(i * vocabulary, (i + 1) * vocabulary))
}
