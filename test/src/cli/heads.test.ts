/** `npx zslab heads`: the same numbers as the library's, as one object and as a page; what it refuses. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { headImportance } from '../../../src/heads/importance.js'
import { evictOnly, HEAD_MEASURES } from '../../../src/index.js'
import { load } from '../../../src/load.js'
import { ownFolder, toyPath, written } from '../model/files.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))
const run = (...words: string[]) =>
  spawnSync(process.execPath, [main, 'heads', ...words], { encoding: 'utf8', maxBuffer: 1 << 26 })

type Rows = (number | null)[][]
interface About {
  kvHeads: number
  low: Record<string, Rows>
  high: Record<string, Rows>
  reliability: Record<string, number | null>
  unit: Record<string, string>
  texts: { tokens: number; ids: number[] }[]
  seed: number
  card: { weights: string; model: { sha256: string } }
}

describe('npx zslab heads', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const model = ['--model', toyPath, '--weights', 'float32']
  const texts = Array.from({ length: 6 }, (_, text) => Array.from({ length: 24 }, (_, i) => (i * (text + 3) * 7) % 250))
  const files = texts.flatMap((ids, i) => [
    '--prompt-ids',
    written(folder, `ids${i}.json`, Buffer.from(JSON.stringify(ids))),
  ])

  it('--json: what headImportance says, with intervals, reliability and the card', async () => {
    const by = ['entropy', 'kvzip', 'ablation']
    const { stdout, stderr, status } = run(...model, ...files, '--by', by.join(','), '--rows', '8', '--json')
    assert.equal(status, 0, stderr)
    const { about, ...measures } = JSON.parse(stdout) as Record<string, Rows> & { about: About }
    assert.deepEqual(Object.keys(measures), by)
    const loaded = await load(toyPath, { weights: 'float32' })
    const found = await headImportance(loaded, texts, { by, rows: 8, progress: false })
    for (const name of by) {
      const rows = found.of(name).values.map((row) => Array.from(row))
      assert.deepEqual(measures[name], rows)
      assert.deepEqual(
        about.low[name],
        found.intervals(name).map((row) => row.map((one) => one!.low)),
      )
      assert.ok(about.low[name][0][0]! <= rows[0][0] && rows[0][0] <= about.high[name][0][0]!)
      assert.equal(about.reliability[name], found.of(name).reliability.all)
      assert.equal(about.unit[name], found.of(name).unit)
    }
    const { kvHeads, heads } = loaded.description
    assert.equal(about.kvHeads, kvHeads)
    const group = heads / kvHeads
    assert.ok(
      group > 1 && measures.kvzip.every((row) => row.every((value, head) => value === row[head - (head % group)])),
    )
    assert.deepEqual(
      about.texts.map(({ ids }) => ids),
      texts,
    )
    assert.equal(about.seed, 1)
    assert.equal(about.card.weights, 'float32')
    assert.equal(about.card.model.sha256.length, 64)
    loaded.dispose()
  })

  it('a few heads of one text: null where nothing was asked, and where one text has no interval', () => {
    const words = [
      '--prompt',
      'a few words of a text',
      '--by',
      'echo',
      '--heads',
      '1-0',
      '--seed',
      '5',
      '--sequences',
      '1',
    ]
    const { stdout, stderr, status } = run(...model, ...words, '--json')
    assert.equal(status, 0, stderr)
    const { echo, about } = JSON.parse(stdout) as { echo: Rows; about: About }
    const there = echo.flatMap((row, layer) => row.flatMap((value, head) => (value === null ? [] : [[layer, head]])))
    assert.deepEqual(there, [[1, 0]])
    assert.equal(about.low.echo[1][0], null)
    assert.equal(about.seed, 5)
  })

  it('under a policy: its flags are those of other commands', async () => {
    const words = ['--policy', 'evict-only', '--budget', '8', '--rows', '6', '--by', 'outputError']
    const { stdout, stderr, status } = run(...model, ...files.slice(0, 2), ...words, '--json')
    assert.equal(status, 0, stderr)
    const { outputError } = JSON.parse(stdout) as Record<string, Rows>
    const loaded = await load(toyPath, { weights: 'float32' })
    const policy = evictOnly({ budget: 8 })
    const found = await headImportance(loaded, texts[0], { by: 'outputError', policy, rows: 6, progress: false })
    assert.deepEqual(
      outputError,
      found.of('outputError').values.map((row) => Array.from(row)),
    )
    assert.ok(outputError.flat().every((value) => value! > 0))
    loaded.dispose()
  })

  it('budget curves: one number a head, and the curves beside it', async () => {
    const words = ['--policy', 'evict-only', '--recent', '4', '--rows', '6', '--by', 'budgetCurve', '--heads', '1-0']
    const curve = ['--shares', '0.5, 0.25', '--others', '0.75']
    const { stdout, stderr, status } = run(...model, ...files.slice(0, 2), ...words, ...curve, '--json')
    assert.equal(status, 0, stderr)
    const { budgetCurve, about } = JSON.parse(stdout) as { budgetCurve: Rows; about: { curves: unknown } }
    const loaded = await load(toyPath, { weights: 'float32' })
    const found = await headImportance(loaded, texts[0], {
      by: 'budgetCurve',
      policy: evictOnly({ recent: 4 }),
      rows: 6,
      shares: [0.25, 0.5],
      others: 0.75,
      heads: [{ layer: 1, head: 0 }],
      progress: false,
    })
    const { shares, others, perText } = found.curves!
    assert.deepEqual(about.curves, { shares, others, perText })
    assert.equal(budgetCurve[1][0], found.of('budgetCurve').values[1][0])
    assert.equal(budgetCurve[0][0], null)
    loaded.dispose()
  })

  it('refuses before a model is looked for what can be told without one', () => {
    const short = written(folder, 'short.json', Buffer.from('[1,2,3]'))
    for (const [words, says] of [
      [['--by', 'best'], /^zslab: there is no measure of heads called "best"/],
      [['--by', 'budgetCurve'], /^zslab: budgetCurve is measured under a policy: give one/],
      [['--by', 'entropy', '--policy', 'tova'], /none, as no measure in `by` depends on it/],
      [['--by', 'entropy', '--shares', '0.1'], /none without budgetCurve in `by` for shares/],
      [['--by', 'budgetCurve', '--policy', 'tova', '--shares', '0.1,1'], /below 1 for shares\[1\] but received 1/],
      [['--by', 'budgetCurve', '--policy', 'tova', '--shares', 'half'], /expected a number but received "half"/],
      [['--by', 'entropy', '--rows', '1'], /for rows but received 1/],
      [['--by', 'entropy', '--seed', '-1'], /for seed but received -1/],
      [['--by', 'locality', '--prompt-ids', short], /^zslab: text 1 has 3 tokens, 14 too few for locality/],
    ] as [string[], RegExp][]) {
      const { status, stderr } = run('--model', 'no such file.gguf', '--prompt', 'a b', ...words)
      assert.match(stderr, says)
      assert.equal(status, 2, words.join(' '))
    }
  })

  it('without --json a page: what was read, and a row for each head', () => {
    const { stdout, status } = run(...model, '--prompt', 'a few words of a text', '--by', 'sinkMass, outputNorm')
    assert.equal(status, 0)
    const [first, sink, norm, empty, names, ...rows] = stdout.trimEnd().split('\n')
    assert.match(
      first,
      /^Heads of toy\.gguf, weights float32: 3 layers × \d+ query heads on \d+ kv heads, 1 text of \d+ tokens$/,
    )
    assert.match(sink, /^sinkMass \[share\]: highest in/)
    assert.match(norm, /^outputNorm/)
    assert.equal(empty, '')
    assert.match(names, /^layer +head +kvHead +sinkMass +outputNorm$/)
    assert.equal(new Set([names, ...rows].map((row) => row.length)).size, 1)
    assert.match(rows[1], /^ +0 +1 +0 +0?\.?\d+ +\d/)
  })

  it('of some heads the page has rows of those alone', () => {
    const { stdout } = run(...model, '--prompt', 'a few words of a text', '--by', 'entropy', '--heads', '2-1,0-3')
    assert.match(stdout, /\n\nlayer  head  kvHead +entropy\n +0     3 [^\n]*\n +2     1 [^\n]*\n$/)
  })

  it('--csv: the long table of the library, to stdout or a file that is tried before anything is measured', async () => {
    const words = [...model, ...files, '--by', 'entropy,kvzip']
    const loaded = await load(toyPath, { weights: 'float32' })
    const found = await headImportance(loaded, texts, { by: ['entropy', 'kvzip'], progress: false })
    loaded.dispose()
    const csv = found.csv({ by: 'measure' })
    assert.equal(run(...words, '--csv').stdout, csv)
    const path = join(folder, 'heads.csv')
    const { stdout, stderr, status } = run(...words, '--csv', path)
    assert.deepEqual([stdout, stderr, status], ['', `24 rows in ${path}\n`, 0])
    assert.equal(readFileSync(path, 'utf8'), csv)
    // No model is loaded for it.
    const nowhere = run(
      '--model',
      'none.gguf',
      '--prompt',
      'a',
      '--by',
      'entropy',
      '--csv',
      join(folder, 'no', 'x.csv'),
    )
    assert.match(nowhere.stderr, /^zslab: the table of measures could not be written to "[^\n]*ENOENT/)
    assert.equal(nowhere.status, 1)
  })

  it('refuses in a sentence what there is not', () => {
    for (const [words, says] of [
      [['--by', 'entropy'], /^zslab: no text: give at least one with --prompt, --prompt-file or --prompt-ids\n$/],
      [['--prompt', 'a b'], /required option '--by <names>' not specified/],
      [
        ['--prompt', 'a b', '--by', 'best'],
        /^zslab: there is no measure of heads called "best"; there are: ablation,[^\n]*kvzip[^\n]*\n$/,
      ],
      [['--prompt', 'a b', '--by', 'entropy', '--heads', '0-0,x'], /LAYER-HEAD[^\n]*received "x"/],
      [
        ['--prompt', 'a b', '--by', 'entropy', '--heads', '0-99'],
        /^zslab: [^\n]* for heads\[0\]\.head but received 99\n$/,
      ],
      [
        ['--prompt', 'a b', '--by', 'entropy,'],
        /^zslab: expected something before, between and after commas for --by but received "entropy,"\n$/,
      ],
      [['--prompt', 'a b', '--by', 'entropy', '--heads', ''], /for --heads but received ""/],
      [['--prompt', 'a b', '--by', 'entropy', '--csv', '--json'], /--json and --csv were given: leave one/],
      [['--prompt-file', '-', '--prompt-file', '-', '--by', 'entropy'], /standard input was given twice/],
      [['--prompt', 'a b', '--by', 'locality'], /^zslab: text 0 has \d+ tokens, \d+ too few for locality/],
      [['--prompt', 'a b', '--by', 'outputError'], /^zslab: outputError is measured under a policy: give one/],
      [
        ['--prompt', 'a b', '--by', 'outputError', '--budget', '9'],
        /^zslab: --budget is of a policy, and none was given/,
      ],
      [['--prompt', 'a b', '--by', 'entropy', '--policy', 'tova'], /none, as no measure in `by` depends on it/],
    ] as [string[], RegExp][]) {
      const { status, stderr, stdout } = run(...model, ...words)
      assert.match(stderr, says)
      assert.equal(status, 2, words.join(' '))
      assert.equal(stdout, '')
    }
    const help = run('--help').stdout
    for (const { name, unit } of HEAD_MEASURES) assert.match(help, new RegExp(`^  ${name} +${unit} +\\w`, 'm'))
    // A command's own options stand before those of policies, of which there are dozens.
    assert.ok(help.indexOf('--store') < help.indexOf('Options of policies:'))
    assert.ok(help.indexOf('Options of policies:') < help.indexOf('--budget'))
  })
})
