/** What the docs of zsmerge's similarity say: with init 'position' it decides nothing in the prompt, and something afterwards. */
import assert from 'node:assert/strict'
import { load, zsmerge, type Model } from '../../../src/index.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'

describe('similarity', () => {
  let model: Model
  before(async () => {
    model = await load('test/models/toy.gguf', { progress: false })
  })
  after(() => model.dispose())

  async function targets(similarity: 'dot' | 'cosine', init: 'position' | 'similarity') {
    const policy = zsmerge({ budget: 20, recent: 6, residual: 4, init, similarity })
    const session = model.session({ policy, trace: true })
    const run = await session.generate(TEXT, { maxTokens: 24, ignoreEos: true, progress: false })
    const { step, target } = run.trace.columns()
    session.dispose()
    return [true, false].map((prompt) =>
      Array.from(target)
        .filter((_, at) => (step[at] === 0) === prompt)
        .join(),
    )
  }

  it("changes nothing in the prompt with init 'position', only later", async () => {
    const [dot, cosine] = [await targets('dot', 'position'), await targets('cosine', 'position')]
    assert.equal(dot[0], cosine[0])
    assert.notEqual(dot[1], cosine[1])
    assert.notEqual((await targets('dot', 'similarity'))[0], (await targets('cosine', 'similarity'))[0])
  })
})
