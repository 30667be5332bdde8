/** Every option of every policy is a dimension of studies, the policy of a wrapper and budgets by head among them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  fullCache,
  languageModelling,
  load,
  POLICIES,
  snapkv,
  sweep,
  think,
  tova,
  zsmerge,
  type Model,
  type SweepOptions,
  type Task,
} from '../../../src/index.js'
import { policyNamed } from '../../../src/policies/index.js'
import { draws, ownFolder, toyPath } from '../model/files.js'

const quiet = { progress: false } as const

type Over = NonNullable<SweepOptions['over']>

const history = { decay: [0.98, 1, 0.5], history: ['on', 'off'], window: ['auto', 'all', 4] }
const sizes = { budget: [12, 0.5], recent: [4, 0.5] }
const evicts = { ...history, ...sizes, sink: [0, 2], underfull: ['compress', 'first-tokens'] }

/** By policy: what all settings have, and levels of each option. */
const OPTIONS: Record<string, { base?: Record<string, unknown>; over: Over }> = {
  full: { base: { history: 'on' }, over: history },
  zsmerge: {
    base: { budget: 16 },
    over: {
      ...evicts,
      mode: ['fixed', 'paper', 'reference'],
      residual: [2, 0, 0.1],
      alpha: [1, 0, 0.5],
      similarity: ['dot', 'l2', 'cosine'],
      scoreMerge: ['max', 'sum'],
      init: ['position', 'similarity'],
      granularity: ['head', 'layer', 'model'],
      aggregate: ['mean', 'score', 'medoid'],
      keys: ['mean', 'fixed'],
      values: ['mean', 'fixed'],
    },
  },
  streaming: {
    base: { positions: 'cache' },
    over: { positions: ['absolute', 'cache'], budget: [12, 0.5], sink: [4, 0], stride: [0, 8] },
  },
  'evict-only': { over: evicts },
  snapkv: {
    base: { budget: 16, window: 4 },
    over: {
      variant: ['official', 'kvpress'],
      budget: [12, 0.5],
      window: [4, 8],
      kernel: [5, 1],
      pooling: ['avg', 'max'],
    },
  },
  tova: { over: { variant: ['official', 'kvpress'], budget: [12, 0.5] } },
  random: { over: { ...sizes, seed: [0, 1] } },
  quest: {
    base: { budget: 8, page: 4, wholeLayers: 1 },
    over: { budget: [8, 0.5], page: [4, 8], wholeLayers: [0, 1], granularity: ['head', 'query'] },
  },
  lorc: {
    over: {
      ramp: ['progressive', 'inverse', 'flat'],
      rank: ['full', 8, 0.75],
      leastRank: [0.5, 4],
      keep: [0.75, 0.9],
    },
  },
  minicache: {
    over: { start: [0.5, 0, 1], t: [0.6, 0], retain: [0.05, 0.5], retention: ['topk', 'range'] },
  },
  adakv: {
    base: { of: zsmerge({ budget: 12 }) },
    over: { floor: [0.2, 1], of: { zsmerge: zsmerge({ budget: 12 }), snapkv: snapkv({ budget: 12, window: 4 }) } },
  },
  think: {
    over: {
      ratio: [0.4, 0],
      recent: [32, 4],
      window: [32, 4],
      of: { full: fullCache(), snapkv: snapkv({ budget: 12, window: 4 }) },
    },
  },
}

describe('options of policies as dimensions', () => {
  let model: Model
  let task: Task
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 2, progress: false })
    const draw = draws(3)
    const text = [Array.from({ length: 60 }, () => draw(model.description.vocabulary))]
    task = languageModelling({ text, tokens: 48, rows: 4, storage: 'float32' })
  })
  after(() => model?.dispose())

  for (const { name, options, presets, preset = 'mode', wraps } of POLICIES)
    it(`of ${name}, each`, async () => {
      const { base = {}, over } = OPTIONS[name]
      const names = [
        ...Object.keys(options),
        ...(Object.keys(presets).length > 1 ? [preset] : []),
        ...(wraps ? ['of'] : []),
      ]
      // How many tokens of a further turn are read at once: of every policy that has it alike.
      const each: Over = { ...over, ...(names.includes('chunk') && { chunk: [256, 4] }) }
      assert.deepEqual(Object.keys(each).sort(), names.sort())
      for (const [option, levels] of Object.entries(each)) {
        const others = Object.fromEntries(Object.entries(base).filter(([key]) => key !== option))
        const study = sweep({
          model,
          task,
          policy: (given: object) => policyNamed(name, given as never),
          base: others,
          over: { [option]: levels },
        })
        const { rows } = await study.run(quiet)
        const called = Array.isArray(levels) ? levels : Object.keys(levels)
        assert.deepEqual(
          rows.map((row) => row.levels[option]),
          called,
        )
        assert.deepEqual(
          rows.map(({ trial }) => trial.failed),
          called.map(() => undefined),
          option,
        )
        assert.equal(new Set(rows.map(({ trial }) => trial.policy)).size, called.length, option)
      }
    })

  it('by name where levels are no words: a session with that value does the same, and the file says which it was', async () => {
    const store = join(ownFolder(), 'study')
    const by = [
      [4, 12],
      [16, 8],
      [10, 10],
    ]
    const over = { budgets: { even: 12, suggested: by } }
    const study = await sweep({ model, task, policy: zsmerge, base: { recent: 2 }, over, store }).run(quiet)
    const [prompt] = await task.prompts(model, 1)
    const bytes = async (given: object, budgets?: number[][]) => {
      const session = model.session({ policy: zsmerge({ recent: 2, ...given }), budgets, storage: 'float32' })
      await session.prefill(prompt.ids.slice(0, -4), quiet)
      for (const id of prompt.ids.slice(-4)) await session.step(id)
      const { total } = session.bytes()
      session.dispose()
      return total
    }
    const found = Object.fromEntries(study.rows.map(({ levels, trial }) => [levels.budgets, trial]))
    assert.equal(found.even.values!.bytes, await bytes({ budget: 12 }))
    assert.equal(found.suggested.values!.bytes, await bytes({}, by))
    assert.notEqual(found.even.values!.kl, found.suggested.values!.kl)
    const ratio = study.kvpress().map(({ config }) => config.compression_ratio)
    // Both budgets are 10 to 12 slots in the mean, of 44 tokens.
    assert.deepEqual(ratio, [1 - 12 / 44, 1 - 10 / 44])
    assert.match(found.suggested.policy, /^zsmerge\(.*\) with budgets [0-9a-f]{32}$/)
    const file = JSON.parse(readFileSync(join(store, 'study.json'), 'utf8')) as { over: unknown }
    assert.deepEqual(file.over, over)
    assert.match(inspect(study.effects()), /budgets from even to suggested/)
    assert.match(inspect(study), /budgets even, suggested/)
    const other = { budgets: { even: 12, suggested: [...by.slice(1), by[0]] } }
    const amended = await sweep({ model, task, policy: zsmerge, base: { recent: 2 }, over: other, store }).plan(quiet)
    assert.deepEqual([amended.trials, amended.done], [2, 1])
  })

  it('say of a wrapper what it works on', async () => {
    const store = join(ownFolder(), 'study')
    const of = { snapkv: snapkv({ budget: 12, window: 4 }), tova: tova({ budget: 12, variant: 'kvpress' }) }
    await sweep({ model, task, policy: think, over: { of }, store }).run(quiet)
    const file = JSON.parse(readFileSync(join(store, 'study.json'), 'utf8')) as { over: { of: object } }
    assert.deepEqual(file.over.of, { snapkv: String(of.snapkv), tova: String(of.tova) })
  })

  it('a head’s budget that cannot be is a trial that failed', async () => {
    const budgets = { small: Array.from({ length: 3 }, () => [3, 12]) }
    const study = await sweep({
      model,
      task,
      policy: zsmerge,
      base: { recent: 2, residual: 2 },
      over: { budgets },
    }).run(quiet)
    assert.match(study.rows[0].trial.failed!, /budget is 3 slots/)
  })

  it('refuse what can be no level', () => {
    const cases: [Partial<SweepOptions>, RegExp][] = [
      [{ over: { alpha: { none: undefined } } }, /what the option is to be for over\.alpha\.none/],
      [{ over: { alpha: {} } }, /levels by name such as/],
      [{ over: { alpha: [[1]] as never } }, /other values take names/],
      [{ over: { alpha: new Map() as never } }, /levels by name such as/],
      [{ over: { alpha: { bad: 'x' } } }, /the setting \{ alpha: "x" \} cannot be/],
      [{ over: { budgets: { flat: [[1]] } } }, /\[3 layers\]\[2 kv heads\]/],
      [{ base: { budget: 12 }, over: { budgets: { even: 12 } } }, /nothing beside budgets/],
      [{ policy: [zsmerge, snapkv], over: { alpha: [0, 1] } }, /no option "alpha".*bound to it, as in \(options\) =>/],
      [{ base: { budgets: [[1]] } }, /\[3 layers\]\[2 kv heads\]/],
      [{ over: { alpha: { from: 0, to: 1 } } }, /ranges are for design: \{ latinHypercube/],
      [{ over: { alpha: { from: 1, to: 0 } } }, /whose from is below its to/],
      [{ over: { alpha: { from: 0, to: 1, log: true } } }, /above 0 beside log/],
      [{ over: { window: { from: 0.5, to: 1, integer: true } } }, /whole number beside integer/],
      [{ over: { alpha: { from: 0, to: 1, steps: 2 } as never } }, /no option "steps"/],
    ]
    for (const [more, message] of cases)
      assert.throws(() => sweep({ model, task, policy: zsmerge, ...more }), message, inspect(more))
  })
})
