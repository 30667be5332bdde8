/** What a study's folder says: of all that it has, and where a file of it is broken, which one and what to do. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outlineOf, outlinesBelow } from '../../../src/experiments/outline.js'
import { TrialStore } from '../../../src/experiments/store.js'
import type { Trial } from '../../../src/experiments/trial.js'
import { listText, outlineText } from '../../../src/show/study-outline-text.js'
import { ownFolder } from '../model/files.js'

const FACTS = { task: { name: 't', about: 'u' }, policies: ['p'], over: {}, metric: 'ms' }
const STATE = {
  state: 'finished',
  trials: { trials: 3, done: 3, failed: 0, unchanged: 0 },
  secondsLeft: null,
  doing: [],
  processes: 1,
}
const trial = (key: string, found: Partial<Trial>): Trial => ({
  key,
  policy: 'p()',
  prompt: { name: key, cluster: 'a', seed: 1, tokens: 3, sha256: 'x' },
  values: {},
  unchanged: false,
  ...found,
})

describe('folders of studies', () => {
  const broken = ['', '{', 'null', '7', '[]', '{}']

  it('have means of what is measured, times or values, whatever else was run there', async () => {
    const folder = ownFolder()
    writeFileSync(join(folder, 'study.json'), JSON.stringify(FACTS))
    const store = await TrialStore.open(folder)
    await store.add(trial('a', { times: { ms: 3 } }))
    await store.add(trial('b', { values: { ms: 5 } }))
    await store.add(trial('c', { values: { kl: 7 } }))
    assert.deepEqual((await outlineOf(folder)).settings, [{ policy: 'p()', done: 3, failed: 0, unchanged: 0, mean: 4 }])
    for (const text of [...broken, '{"state":"running"}', JSON.stringify({ ...STATE, doing: [3] })]) {
      writeFileSync(join(folder, 'state.json'), text)
      const found = await outlineOf(folder)
      assert.equal(found.state, null, text)
      assert.match(outlineText(found), /^ {2}how far it is is not known$/m)
    }
    writeFileSync(join(folder, 'state.json'), JSON.stringify(STATE))
    assert.match(outlineText(await outlineOf(folder)), /^ {2}finished: 3 of 3 trials$/m)
  })

  it('are listed beside those whose study.json is broken, and these are named', async () => {
    const folder = ownFolder()
    for (const name of ['good', 'bad']) mkdirSync(join(folder, 'deep', name), { recursive: true })
    writeFileSync(join(folder, 'deep/good/study.json'), JSON.stringify(FACTS))
    const bad = join(folder, 'deep/bad')
    const wrong = [{ policies: 3 }, { policies: 'p' }, { over: null }].map((part) =>
      JSON.stringify({ ...FACTS, ...part }),
    )
    for (const text of [...broken, ...wrong]) {
      writeFileSync(join(bad, 'study.json'), text)
      await assert.rejects(
        outlineOf(bad),
        { code: 'file', message: /study\.json" is broken: run the study again/ },
        text,
      )
      const { outlines, faults } = await outlinesBelow(folder)
      assert.match(listText(outlines, folder), /deep\/good: p on t, has not been run$/)
      assert.equal(faults.length, 1)
    }
    await assert.rejects(outlineOf(folder), { code: 'file', message: /holds no study/ })
    rmSync(join(bad, 'study.json'))
    mkdirSync(join(bad, 'study.json'))
    await assert.rejects(outlineOf(bad), { code: 'file', message: /study\.json" cannot be read: EISDIR/ })
    await assert.rejects(outlinesBelow(join(folder, 'gone')), { code: 'file', message: /cannot be read/ })
  })
})
