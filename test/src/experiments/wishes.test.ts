/** What is asked of a study from outside: which trials are left out after any number of cancels and requeues, and files that say it badly. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { outlineText } from '../../../src/show/study-outline-text.js'
import { alsoAsked, isCancelled, isWhich, wishesOf, type Cancelled } from '../../../src/experiments/wishes.js'
import { ownFolder } from '../model/files.js'

const CALLS = [
  "zsmerge({ budget: 0.1, alpha: 0, mode: 'fixed' })",
  "zsmerge({ budget: 0.1, alpha: 0.5, mode: 'fixed' })",
  "zsmerge({ budget: 0.1, alpha: 1, mode: 'fixed' })",
  'snapkv({ budget: 0.1 })',
]
const PROMPTS = ['text 1', 'text 10']
const TRIALS = CALLS.flatMap((policy) => PROMPTS.map((prompt) => ({ policy, prompt })))

describe('what is asked of a study', () => {
  it('is in calls as whole words', () => {
    const having = (policy: string) => CALLS.filter((call) => isWhich({ policy }, { policy: call, prompt: '' }))
    assert.deepEqual(having('alpha: 0'), [CALLS[0]])
    assert.deepEqual(having('alpha: 0.5'), [CALLS[1]])
    assert.deepEqual(having('zsmerge'), CALLS.slice(0, 3))
    assert.deepEqual(having('merge'), [])
    assert.deepEqual(having('budget: 0.1, alpha: 1'), [CALLS[2]])
    assert.deepEqual(having("mode: 'fixed'"), CALLS.slice(0, 3))
    assert.deepEqual(having('budget: 0.1 }'), [CALLS[3]])
  })

  it('counts as it was asked last, of each trial, whatever was asked before of more or fewer', () => {
    const words = ['zsmerge', 'snapkv', 'alpha: 0', 'alpha: 0, ', 'budget: 0.1', CALLS[1]]
    const which = fc.record(
      { policy: fc.constantFrom(...words), prompt: fc.constantFrom(...PROMPTS) },
      { requiredKeys: [] },
    )
    const asked = fc.tuple(which, fc.boolean()).map(([one, back]): Cancelled => (back ? { ...one, back } : one))
    fc.assert(
      fc.property(fc.array(asked, { maxLength: 8 }), (all) => {
        const kept = all.reduce<readonly Cancelled[]>(alsoAsked, [])
        for (const trial of TRIALS) {
          const last = all.filter((one) => isWhich(one, trial)).at(-1)
          assert.equal(isCancelled(kept, trial), last !== undefined && !last.back)
        }
        const nothing = !TRIALS.some((trial) => isCancelled(kept, trial))
        assert.deepEqual(alsoAsked(kept, { back: true }), [])
        assert.ok(!nothing || kept.length === 0 || kept.some(({ back }) => !back))
      }),
    )
  })

  it('is said in the order in which it counts', () => {
    const cancelled = alsoAsked(alsoAsked([], { policy: 'zsmerge' }), {
      policy: 'alpha: 0',
      prompt: 'text 1',
      back: true,
    })
    const facts = { task: { name: 't', about: 'u' }, policies: ['zsmerge'], over: {}, metric: 'kl' }
    const outline = {
      folder: 'f',
      facts,
      state: null,
      running: null,
      asked: { paused: false, cancelled },
      settings: [],
    }
    assert.match(outlineText(outline), /left out: zsmerge; not alpha: 0 on text 1$/m)
  })

  it('is nothing where its file is broken, whatever is in it', async () => {
    const folder = ownFolder()
    const none = { paused: false, stopped: false, cancelled: [], requeued: [] }
    for (const text of [
      '',
      'null',
      '7',
      '{"paused":"yes"}',
      '{"cancelled":5}',
      '{"cancelled":[null]}',
      '{"requeued":{}}',
    ]) {
      writeFileSync(join(folder, 'asked.json'), text)
      assert.deepEqual(await wishesOf(folder), none, text)
    }
    writeFileSync(join(folder, 'asked.json'), '{"cancelled":[{"prompt":"a"}]}')
    assert.deepEqual(await wishesOf(folder), { ...none, cancelled: [{ prompt: 'a' }] })
  })
})
