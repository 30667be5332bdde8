/** What a policy costs: that runs do one thing more each, that parts add up, where it pays; no time is judged. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Cost, figures, fullCache, load, measureCost, snapkv, zsmerge, type Model } from '../../../src/index.js'
import { breakEvenOf } from '../../../src/experiments/cost.js'
import { rungsOf } from '../../../src/experiments/cost-operations.js'
import { ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const

describe('cost', () => {
  let model: Model
  before(async () => void (model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })))
  after(() => model?.dispose())

  it('takes ZSMerge apart: each run does one thing more, the last is the policy', () => {
    const policy = zsmerge({ budget: 24, residual: 3, alpha: 0.5, decay: 0.9, sink: 2 })
    const rungs = rungsOf(policy, 100)
    assert.deepEqual(
      rungs.map(({ operation }) => operation),
      ['attention', 'scores', 'choice', 'search', 'merge'],
    )
    assert.equal(rungs[4].policy, policy)
    const options = rungs.map((rung) => rung.policy.options)
    assert.deepEqual(
      options.map(({ history, recent, residual, keys, values }) => [history, recent, residual, keys, values]),
      [
        ['off', 21, 0, 'mean', 'mean'],
        ['on', 21, 0, 'mean', 'mean'],
        ['on', policy.options.recent, 0, 'mean', 'mean'],
        ['on', policy.options.recent, 3, 'fixed', 'fixed'],
        ['on', policy.options.recent, 3, 'mean', 'mean'],
      ],
    )
    for (const own of options) assert.deepEqual([own.budget, own.sink], [24, 2])
    assert.deepEqual([options[1].decay, options[2].decay, options[3].alpha], [0.9, 0.9, 0.5])
    // A share of the prompt is as many slots as the policy has.
    assert.equal(rungsOf(zsmerge({ budget: 0.1 }), 500)[0].policy.options.recent, 49)
    const operations = (of: ReturnType<typeof zsmerge>) => rungsOf(of, 1000).map(({ operation }) => operation)
    assert.deepEqual(operations(zsmerge({ history: 'off' })), ['attention', 'choice', 'search', 'merge'])
    assert.deepEqual(operations(zsmerge({ aggregate: 'score', init: 'similarity' })), [
      'attention',
      'scores',
      'choice',
      'merge',
    ])
    assert.deepEqual(operations(zsmerge({ mode: 'paper', keys: 'fixed' })), [
      'attention',
      'scores',
      'choice',
      'search',
      'merge',
    ])
    for (const whole of [zsmerge({ mode: 'reference' }), zsmerge({ residual: 0 }), snapkv()])
      assert.deepEqual(operations(whole), ['policy'])
  })

  it('parts add up to steps, bytes are the caches’, and each length has its own', async () => {
    const policy = zsmerge({ budget: 16, recent: 4, residual: 2 })
    let last = { done: 0, total: 0 }
    const cost = await measureCost(model, {
      policy,
      lengths: [32, 64],
      turns: 6,
      steps: 2,
      prompts: 2,
      progress: ({ done, total }) => (last = { done, total }),
    })
    assert.equal(last.done, last.total)
    assert.deepEqual(
      cost.lengths.map(({ length }) => length),
      [32, 64],
    )
    for (const { full, policy: own, upkeep, gain, gainByBytes, promptMore } of cost.lengths) {
      const beyond = own.parts.slice(2).reduce((sum, part) => sum + part.step.mean, 0)
      assert.ok(Math.abs(upkeep!.mean - beyond) < 1e-9)
      for (const { parts, step, prompt } of [full, own]) {
        const sum = parts.reduce((all, part) => all + part.step.mean, 0)
        assert.ok(Math.abs(sum - step.mean) < 1e-9, `${sum} for ${step.mean}`)
        assert.ok(step.low !== null && step.low < step.mean && step.mean < step.high!)
        assert.ok(prompt!.mean > 0 && prompt!.low === null)
      }
      assert.ok(Math.abs(promptMore!.mean - (own.prompt!.mean - full.prompt!.mean)) < 1e-9)
      assert.ok(gain.mean > 0)
      assert.equal(gainByBytes, (model.bytes + full.bytes) / (model.bytes + own.bytes))
    }
    const session = model.session({ policy })
    await session.prefill(
      Array.from({ length: 64 }, (_, i) => i),
      quiet,
    )
    for (let i = 0; i < 14; i++) await session.step(i)
    assert.equal(cost.lengths[1].policy.bytes, session.bytes().total)
    const { part, cache } = cost.table()
    assert.deepEqual(part.slice(0, 11), [
      'model',
      'attention',
      'step',
      'prompt',
      'model',
      'attention',
      'scores',
      'choice',
      'search',
      'merge',
      'step',
    ])
    assert.deepEqual([cache[0], cache[4], part.length], ['full', 'policy', 24])
    assert.match(inspect(cost), /What zsmerge costs and saves, over 6 turns of 2 steps/)
    const path = await cost.save(join(ownFolder(), 'cost.json'))
    const saved = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    assert.deepEqual(saved, JSON.parse(JSON.stringify(cost)))
    const again = await Cost.from(path)
    assert.equal(JSON.stringify(again), JSON.stringify(cost))
    assert.equal(inspect(again), inspect(cost))
    assert.equal(figures.cost(again).svg, figures.cost(cost).svg)
    const broken = join(ownFolder(), 'broken.json')
    const says = async (change: Record<string, unknown>, message: RegExp) => {
      writeFileSync(broken, JSON.stringify({ ...saved, ...change }))
      await assert.rejects(Cost.from(broken), message)
    }
    const [first, second] = saved.lengths as Record<string, unknown>[]
    await says({ format: 'zslab.heads' }, /is no measured cost: expected what cost\.save/)
    await says({ version: 2 }, /its version is 2/)
    await says({ turns: 0 }, /does not say its turns/)
    await says({ lengths: [] }, /no lengths/)
    await says({ lengths: [first, { ...second, gain: { mean: null } }] }, /no lengths, or not all/)
    await says({ lengths: [second, first] }, /do not ascend/)
    await says({ breakEven: {} }, /where it pays/)
    await says({ cards: [{}] }, /made by what/)
    await assert.rejects(Cost.from(join(ownFolder(), 'missing.json')), /cannot read/)
    await cost.save(join(ownFolder(), 'cost.parquet'))
  })

  it('pays from where a turn stays faster, between two lengths in a straight line', () => {
    const lengths = [100, 200, 400]
    const of = (...saved: number[][]) =>
      breakEvenOf(
        lengths,
        lengths.map((_, i) => saved.map((turn) => turn[i])),
      )
    const crossing = of([-1, 1, 5], [-3, 1, 5], [1, -1, 1])
    assert.deepEqual(crossing.turns, { always: 0, crossing: 3, never: 0 })
    assert.equal(crossing.length!.mean, (150 + 175 + 300) / 3)
    assert.deepEqual(of([1, 1, 1], [0.1, 2, 3]), { length: null, turns: { always: 2, crossing: 0, never: 0 } })
    assert.deepEqual(of([1, 1, 0], [-1, -1, -1]).turns, { always: 0, crossing: 0, never: 2 })
    assert.equal(of([1, 1, 1], [-1, 1, 1]).length, null)
  })

  it('refuses what it cannot measure, and stops when it is told to', async () => {
    const policy = zsmerge({ budget: 16, recent: 4, residual: 2 })
    const says = (options: object, message: RegExp) =>
      assert.rejects(measureCost(model, { policy, lengths: [32], ...quiet, ...options } as never), message)
    await says({ policy: fullCache() }, /one that changes the cache/)
    await says({ policy: 'zsmerge' }, /call it, as in policy: zsmerge\(\)/)
    await says({ lengths: [64, 32] }, /ascending/)
    await says({ lengths: [1e6] }, /fit into the context/)
    await says({ lengths: [] }, /at least one/)
    await says({ turns: 0 }, /turns/)
    await says({ turns: 500 }, /500 turns of 8/)
    await says({ step: 2 }, /did you mean 'steps'/)
    await says({ policy: zsmerge({ budget: 3, recent: 2, residual: 2 }) }, /budget/)
    await says({ policy: zsmerge({ budget: 100 }), turns: 1, steps: 1 }, /changed nothing in 34 tokens/)
    const controller = new AbortController()
    await says(
      { signal: controller.signal, turns: 30, progress: () => controller.abort(new Error('enough')) },
      /enough/,
    )
  })
})
