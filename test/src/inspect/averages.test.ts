/** Averages over texts: against brute force over the slots that runs ended with and the tokens that their heads lost; what is refused. */
import assert from 'node:assert/strict'
import {
  averages,
  evictOnly,
  figures,
  load,
  zsmerge,
  type Averages,
  type Model,
  type Run,
  type Shadow,
} from '../../../src/index.js'
import type { TraceCell } from '../../../src/trace/columns.js'
import { draws, toyPath } from '../model/files.js'

const BINS = 4

describe('averages', function () {
  this.timeout(600_000)
  let model: Model
  let pairs: { run: Run; shadow: Shadow }[]
  let made: Averages
  before(async () => {
    model = await load(toyPath, { weights: 'float32', progress: false })
    const policies = [
      zsmerge({ budget: 16, recent: 5, residual: 2 }),
      zsmerge({ budget: 16, recent: 5, residual: 2 }),
      evictOnly({ budget: 16 }),
    ]
    pairs = []
    for (const [seed, policy] of policies.entries()) {
      const draw = draws(seed + 5)
      const prompt = Array.from({ length: 30 + 7 * seed }, () => draw(250))
      const run = await model.session({ policy }).generate(prompt, { maxTokens: 9, ignoreEos: true, progress: false })
      pairs.push({ run, shadow: await run.shadow({ progress: false }) })
    }
    made = averages([pairs[0], pairs[1].run, pairs[2]], { bins: BINS })
  })
  after(() => model.dispose())

  /** Of one text: the mean over the tokens of a bin and the kv heads of some layers. */
  function expected({ run, shadow }: (typeof pairs)[number], measure: string, layers: number[], bin: number): number {
    const { origins, tokens } = run.data()
    const own = tokens
      .map(({ position }) => position)
      .filter((position) => Math.floor((position / tokens.length) * BINS) === bin)
    const heads = layers.flatMap((layer) => origins[layer].kvHeads.map((slots) => slots.map((all) => Array.from(all))))
    if (measure.startsWith('regret')) {
      const { lost, steps, kvHeads } = shadow.local!
      let sum = 0
      lost.position.forEach((position, row) => {
        const kind = lost.merged[row] ? 'regretMerged' : 'regretDropped'
        if (kind === measure && own.includes(position) && layers.includes(lost.layer[row])) sum += lost.probability[row]
      })
      return sum / (kvHeads * layers.length * steps.length)
    }
    const weights = heads.flatMap((slots) =>
      own.map((position) => slots.find((slot) => slot.includes(position))?.length ?? 0),
    )
    const is = {
      alone: (weight: number) => weight === 1,
      merged: (weight: number) => weight > 1,
      gone: (weight: number) => weight === 0,
    }
    return weights.filter(is[measure as keyof typeof is]).length / weights.length
  }

  it('are what slots and lost tokens come to, with mean and spread over the texts that have a value', () => {
    const table = made.table()
    const seen = new Set<TraceCell>()
    table.measure.forEach((measure, row) => {
      seen.add(measure)
      const layer = table.layer[row]
      const layers = layer === null ? [0, 1, 2] : [Number(layer)]
      const which = String(measure).startsWith('regret') ? [pairs[0], pairs[2]] : pairs
      const values = which.map((pair) => expected(pair, String(measure), layers, Number(table.bin[row])))
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
      const what = `${measure}, layer ${layer}, bin ${table.bin[row]}`
      for (const [name, value] of Object.entries({
        texts: values.length,
        mean,
        sd,
        least: Math.min(...values),
        most: Math.max(...values),
      }))
        assert.ok(
          Math.abs(Number(table[name][row]) - value) < 1e-12,
          `${what}: ${name} ${table[name][row]} is not ${value}`,
        )
      assert.equal(table.from[row], Number(table.bin[row]) / BINS)
    })
    assert.deepEqual([...seen], ['alone', 'merged', 'gone', 'regretMerged', 'regretDropped'])
    assert.equal(table.measure.length, 5 * (1 + 3) * BINS)
  })

  it('add up: a text’s shares to 1, and its regret to what its shadow says that merged and dropped tokens get', () => {
    const table = averages([pairs[2]], { bins: BINS }).table()
    const rows = (measure: string) =>
      Array.from(table.measure.keys()).filter((row) => table.measure[row] === measure && table.layer[row] === null)
    rows('alone').forEach((row, bin) => {
      const sum = ['alone', 'merged', 'gone'].reduce((all, measure) => all + Number(table.mean[rows(measure)[bin]]), 0)
      assert.ok(Math.abs(sum - 1) < 1e-12)
      assert.equal(table.sd[row], null)
    })
    // What is dropped in a step is lost to the rows after it; the step's own row still read it.
    const { missed } = pairs[2].shadow.local!
    const all = missed.reduce((sum, value) => sum + value, 0) / missed.length
    const regret = rows('regretDropped').reduce((sum, row) => sum + Number(table.mean[row]), 0)
    assert.ok(regret > 0 && Math.abs(regret - all) < 1e-6, `${regret} is not ${all}`)
  })

  it('leave out parts that a text has no token in', () => {
    const short = averages([pairs[0].run, pairs[2].run], { bins: 40 }).table()
    const rows = Array.from(short.measure.keys()).filter(
      (row) => short.measure[row] === 'alone' && short.layer[row] === null,
    )
    const { length } = pairs[0].run.data().tokens
    assert.equal(length, 38)
    assert.deepEqual(rows.map((row) => short.texts[row]).filter((texts) => texts === 1).length, 2)
    assert.ok(short.mean.every((mean) => Number.isFinite(mean)))
  })

  it('are tables, frames and CSV, and keep the runs’ cards', () => {
    const names = ['measure', 'layer', 'bin', 'from', 'to', 'texts', 'mean', 'sd', 'least', 'most']
    assert.deepEqual(made.frame().columns, names)
    assert.equal(made.csv().split('\n')[0], names.join(','))
    const texts = made.byText()
    assert.equal(texts.text.length, 3 * (1 + 3) * BINS)
    assert.equal(texts.regretMerged.filter((value) => value === null).length, (1 + 3) * BINS)
    assert.deepEqual([made.texts, made.shadows, made.layers, made.bins], [3, 2, 3, BINS])
    assert.deepEqual(
      made.cards.map((card) => card.policy.name),
      ['zsmerge', 'zsmerge', 'evict-only'],
    )
    const shown = (made as never as Record<symbol, () => Record<string, string>>)[Symbol.for('Jupyter.display')]()
    assert.match(
      shown['text/plain'],
      /^Averages over 3 texts, 2 of them with shadows: 3 layers × 4 parts of each text\n/,
    )
  })

  it('are what figures of a run and its shadow draw', () => {
    for (const { run, shadow } of [pairs[0], pairs[2]]) {
      const table = averages([{ run, shadow }], { bins: 1 }).table()
      const all = (measure: string) =>
        Number(table.mean[table.measure.findIndex((one, row) => one === measure && table.layer[row] === null)])
      const { columns } = figures.regretStrip(run, shadow)
      const sum = (values: ArrayLike<unknown>) => Array.from(values).reduce<number>((all, one) => all + Number(one), 0)
      assert.ok(Math.abs(sum(columns.merged) - all('regretMerged')) < 1e-12)
      assert.ok(Math.abs(sum(columns.dropped) - all('regretDropped')) < 1e-12)
      const split = figures.errorSplit(shadow).columns
      Array.from(split.error).forEach((error, row) => {
        const parts = Number(split.dropped[row]) + Number(split.merged[row]) + Number(split.repaired[row])
        assert.ok(Math.abs(Number(error) - parts) < 1e-9)
      })
    }
  })

  it('say what is wrong with a call', async () => {
    const [{ run, shadow }] = pairs
    const refused = (runs: unknown, message: RegExp, options?: object) =>
      assert.throws(() => averages(runs as never, options as never), { name: 'ZslabError', code: 'invalid', message })
    refused([], /an array of at least one run for runs/)
    refused(run, /an array of at least one run for runs/)
    refused([run, {}], /a run or a trace, or \{ run, shadow \} for runs\[1\]/)
    refused(
      [{ run, shadow: run.shadow({ progress: false }).catch(() => undefined) }],
      /a result of run\.shadow\(\) for runs\[0\]\.shadow.*await it/,
    )
    refused([{ run, shadow: pairs[2].shadow }], /the shadow of its run for runs\[0\]\.shadow/)
    refused([run], /from 1 to 1000 for bins but received 0/, { bins: 0 })
    refused([run], /averages has no option "bin"/, { bin: 3 })
    const other = { card: run.card, data: () => ({ ...run.data(), kvHeads: 7 }) }
    refused(
      [{ run, shadow }, other],
      /models of two shapes have no common mean: runs\[0\] is of .* \(3 layers of 2 kv heads\), runs\[1\] of .* \(3 of 7\)/,
    )
  })
})
