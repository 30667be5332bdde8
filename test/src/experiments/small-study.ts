/** A study of 60 trials on the toy model; as a program it runs one in the folder that it is given. */
import { fileURLToPath } from 'node:url'
import { languageModelling, load, sweep, zsmerge, type Model, type Study } from '../../../src/index.js'
import { draws, toyPath } from '../model/files.js'

export function smallStudy(model: Model, store: string | undefined): Study {
  const draw = draws(5)
  const text = Array.from({ length: 15 }, () => Array.from({ length: 40 }, () => draw(model.description.vocabulary)))
  return sweep({
    model,
    task: languageModelling({ text, tokens: 40, rows: 6 }),
    policy: zsmerge,
    base: { budget: 12, recent: 4 },
    over: { alpha: [0, 1], residual: [2, 4] },
    store,
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const model = await load(toyPath, { weights: 'float32', threads: 1, progress: false })
  console.log('running')
  await smallStudy(model, process.argv[2]).run({ progress: false })
}
