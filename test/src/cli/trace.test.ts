/** `generate --trace` and `zslab trace`: refused before anything runs, saved, summed up, as JSON and as CSV. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Trace } from '../../../src/index.js'
import { ownFolder, toyPath, written } from '../model/files.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))
const run = (...words: string[]) =>
  spawnSync(process.execPath, [main, ...words], { encoding: 'utf8', maxBuffer: 1 << 26 })

describe('cli: traces', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const policy = ['--policy', 'zsmerge', '--budget', '24', '--recent', '8', '--residual', '2']
  const words = ['generate', '--model', toyPath, '--prompt', 'a b c '.repeat(20), ...policy, '--max-tokens', '5']
  const generate = (path: string) => run(...words, '--ignore-eos', '--trace', path)

  it('a path that cannot be is refused before the model is loaded', () => {
    mkdirSync(join(folder, 'taken.arrow'))
    const nowhere = ['generate', '--model', './nowhere.gguf', '--prompt', 'a']
    for (const [path, status, says] of [
      ['x.csv', 2, /^zslab: a trace cannot be saved as "x\.csv": expected a name ending in \.arrow or \.parquet\n$/],
      ['', 2, /cannot be saved as ""/],
      [join(folder, 'taken.arrow'), 1, /taken\.arrow": a folder or a device has that name\n$/],
      [join(folder, 'none/x.arrow'), 1, /^zslab: the trace could not be written to "[^\n]*x\.arrow": [^\n]*\n$/],
    ] as [string, number, RegExp][]) {
      const done = run(...nowhere, '--trace', path)
      assert.match(done.stderr, says)
      assert.deepEqual([done.status, done.stdout], [status, ''])
    }
  })

  for (const ending of ['.arrow', '.parquet'])
    it(`${ending}: saved, summed up, as JSON and as CSV`, async () => {
      const path = join(folder, `run${ending}`)
      const made = generate(path)
      assert.equal(made.status, 0, made.stderr)
      assert.match(made.stderr, /trace of [\d,]+ events in .*: npx zslab trace /)
      const trace = await Trace.open(path)
      const table = trace.table()

      const text = run('trace', path)
      assert.equal(text.status, 0, text.stderr)
      assert.match(
        text.stdout,
        /^toy\.gguf, 3 layers of 2 kv heads: \d+ tokens of prompt, 4 steps\npolicy zsmerge \{"budget":24/,
      )
      assert.match(text.stdout, /\n {2}merge +\d+ {2}\(score \d+\)\n[^]*Receipt ok: /)

      const object = run('trace', path, '--json')
      assert.equal(object.status, 0, object.stderr)
      const found = JSON.parse(object.stdout) as {
        events: number
        counts: Record<string, { events: number; reasons: Record<string, number> }>
        receipt: { ok: boolean; merged: number }
        card: object
      }
      assert.equal(found.events, trace.length)
      assert.ok(found.receipt.ok)
      assert.equal(found.counts.merge.events, found.receipt.merged)
      const sum = Object.values(found.counts).reduce((all, { events }) => all + events, 0)
      assert.equal(sum, trace.length)
      for (const { events, reasons } of Object.values(found.counts))
        assert.equal(
          Object.values(reasons).reduce((a, b) => a + b, 0),
          events,
        )
      assert.deepEqual(found.card, JSON.parse(JSON.stringify(trace.card)))

      const csv = run('trace', path, '--csv')
      assert.equal(csv.status, 0, csv.stderr)
      const lines = csv.stdout.split('\n')
      assert.equal(lines[0], Object.keys(table).join(','))
      assert.equal(csv.stdout, [...trace.csv()].join(''))
      const to = join(folder, `run${ending}.csv`)
      const saved = run('trace', path, '--csv', to)
      assert.deepEqual([saved.status, saved.stdout], [0, ''], saved.stderr)
      assert.equal(readFileSync(to, 'utf8'), csv.stdout)
    })

  it('scores and vectors of chosen heads: saved, summed up, and refused where they make no sense', async () => {
    const path = join(folder, 'levels.arrow')
    const level = ['--trace-level', 'vectors', '--trace-layers', '0,2', '--trace-kv-heads', '1', '--trace-queries', '3']
    const made = run(...words, '--ignore-eos', '--trace', path, ...level, '--trace-scores', '--trace-every', '2')
    assert.equal(made.status, 0, made.stderr)
    const trace = await Trace.open(path)
    assert.deepEqual(Array.from(trace.scores({ layer: 2, kvHead: 1 }).steps), [0, 2, 4])
    assert.equal(
      trace.vectors({ layer: 0, kvHead: 1 }).queries.length / trace.vectors({ layer: 0, kvHead: 1 }).outputs.length,
      7 / 4,
    )
    assert.match(
      run('trace', path).stdout,
      /\nlevel vectors: events; keys, values, queries and outputs of 2 heads \(layers 0, 2; kv heads 1\); scores and probabilities of 2 heads \(layers 0, 2; kv heads 1\), every 2nd step\n/,
    )
    const heads = [0, 2].map((layer) => ({ layer, kvHead: 1 }))
    const described = JSON.parse(run('trace', path, '--json').stdout) as { trace: object }
    assert.deepEqual(described.trace, { level: 'vectors', vectors: heads, scores: heads, every: 2 })
    for (const [flags, says] of [
      [['--trace-level', 'scores'], /--trace-level is about the file of --trace/],
      [['--trace', path, '--trace-every', '2'], /--trace-every needs --trace-level scores or vectors/],
      [['--trace', path, '--trace-level', 'scores', '--trace-layers', '1;2'], /expected whole numbers, as in 3,12/],
      [['--trace', path, '--trace-level', 'events', '--trace-layers', '1'], /trace\.layers says whose/],
      [['--trace', path, '--trace-level', 'scores', '--trace-layers', '9'], /from 0 to 2 for trace\.layers\[0\]/],
    ] as [string[], RegExp][]) {
      const done = run(...words, ...flags)
      assert.match(done.stderr, says)
      assert.deepEqual([done.status, done.stdout], [2, ''], done.stderr)
    }
  })

  it('what is no trace is one line and exit code 1', () => {
    for (const [path, says] of [
      [join(folder, 'none.arrow'), /^zslab: the trace "[^\n]*none\.arrow" cannot be read: ENOENT[^\n]*\n$/],
      [folder, /cannot be read: it is a folder or a device, not a file/],
      [
        written(folder, 'empty.arrow', Buffer.alloc(0)),
        /^zslab: "[^\n]*" is empty: expected what trace\.save\('x\.arrow'\)[^\n]*\n$/,
      ],
      [written(folder, 'text.arrow', Buffer.from('hello')), /is neither an Arrow nor a Parquet file/],
    ] as [string, RegExp][]) {
      const { status, stderr, stdout } = run('trace', path)
      assert.match(stderr, says)
      assert.deepEqual([status, stdout], [1, ''])
    }
    assert.equal(run('trace').status, 2)
    assert.equal(run('trace', 'x.arrow', '--json', '--csv').status, 2)
  })
})
