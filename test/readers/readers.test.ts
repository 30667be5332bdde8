/** Saved traces in pandas, polars and DuckDB: the rows, types and missing values of run.trace.table(), from either format. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  averages,
  evictOnly,
  headImportance,
  load,
  snapkv,
  streaming,
  zsmerge,
  type Model,
  type Policy,
  type Run,
  type TraceOption,
} from '../../src/index.js'
import {
  ABLATION_COLUMNS,
  AUTOPSY_COLUMNS,
  AUTOPSY_LAYER_COLUMNS,
  AVERAGES_COLUMNS,
  COMPENSATION_COLUMNS,
} from '../../src/inspect/table-columns.js'
import { AGREEMENT_COLUMNS, headColumns, JUDGEMENT_COLUMNS, MEASURE_COLUMNS } from '../../src/heads/table-columns.js'
import { COLUMNS, type ColumnOf, type TraceCell } from '../../src/trace/columns.js'
import { missing, READERS } from '../../scripts/python.mjs'
import { leftOut } from '../left-out.js'
import { smallStudy } from '../src/experiments/small-study.js'
import { ownFolder, toyPath } from '../src/model/files.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LIBRARIES = ['pandas', 'pandas, types of the file', 'polars', 'DuckDB'] as const
type Library = (typeof LIBRARIES)[number]
type Found = Record<string, { type: string; values: (number | string | null | (number | 'NaN')[])[] }>

/** How a library names our types: of a number, of one that may be missing, of a word, by format. */
const NAMES: Record<
  Library,
  Record<'int32' | 'uint16' | 'uint8' | 'float32' | 'float64', string> & { words: Record<string, string> }
> = {
  pandas: {
    int32: 'int32',
    uint16: 'uint16',
    uint8: 'uint8',
    float32: 'float32',
    float64: 'float64',
    words: { '.arrow': 'category', '.parquet': 'str' },
  },
  'pandas, types of the file': {
    int32: 'int32[pyarrow]',
    uint16: 'uint16[pyarrow]',
    uint8: 'uint8[pyarrow]',
    float32: 'float[pyarrow]',
    float64: 'double[pyarrow]',
    words: { '.arrow': 'dictionary<values=string, indices=int8, ordered=0>[pyarrow]', '.parquet': 'string[pyarrow]' },
  },
  polars: {
    int32: 'Int32',
    uint16: 'UInt16',
    uint8: 'UInt8',
    float32: 'Float32',
    float64: 'Float64',
    words: { '.arrow': 'Categorical', '.parquet': 'String' },
  },
  DuckDB: {
    int32: 'INTEGER',
    uint16: 'USMALLINT',
    uint8: 'UTINYINT',
    float32: 'FLOAT',
    float64: 'DOUBLE',
    words: { '.arrow': 'VARCHAR', '.parquet': 'VARCHAR' },
  },
}

const POLICIES: Record<string, Policy> = {
  zsmerge: zsmerge({ budget: 24, recent: 8, residual: 2 }),
  snapkv: snapkv({ budget: 24, window: 8 }),
  streaming: streaming({ budget: 24 }),
  'evict-only': evictOnly({ budget: 24 }),
}

function sameTable(
  found: Record<Library, Found>,
  table: Record<string, TraceCell[]>,
  columns: readonly Pick<ColumnOf, 'name' | 'type' | 'words'>[],
  ending: string,
): void {
  assert.deepEqual(
    columns.map(({ name }) => name),
    Object.keys(table),
  )
  for (const library of LIBRARIES) {
    const say = `${library}, ${ending}`
    assert.deepEqual(Object.keys(found[library]), Object.keys(table), say)
    for (const { name: column, type, words } of columns) {
      const { values, type: named } = found[library][column]
      assert.deepEqual(values, table[column], `${say}: ${column}`)
      const names = NAMES[library]
      const word = type === 'text' || words
      const whole = type !== 'text' && type !== 'float32' && type !== 'float64'
      // pandas has no whole numbers that may be missing.
      const widened = library === 'pandas' && !word && whole && table[column].includes(null)
      const expected = word ? names.words[ending] : widened ? 'float64' : names[type]
      assert.equal(named, expected, `${say}: ${column}`)
    }
  }
}

/** Of layer 1, kv head 1: by the row at which each token came. */
function listsByHand(run: Run): Record<string, ((number | 'NaN')[] | null)[]> {
  const of = { layer: 1, kvHead: 1 }
  const { layer, kvHead, action, slot, position } = run.trace.table()
  const given = run.vectors(of)
  const scored = run.scores(of)
  const cut = (from: Float32Array, width: number, at: number) =>
    at < 0 ? null : Array.from(from.subarray(at * width, (at + 1) * width))
  const wide = given.group * given.headDim
  const lists: Record<string, (at: number) => (number | 'NaN')[] | null> = {
    key: (at) => cut(given.keys, given.headDim, at),
    value: (at) => cut(given.values, given.headDim, at),
    query: (at) => cut(given.queries, wide, at - given.firstQuery),
    output: (at) => cut(given.outputs, wide, at - given.firstOutput),
    slotScores: (at) => ofStep(scored.scores, at),
    slotProbabilities: (at) => ofStep(scored.probabilities, at),
  }
  const ofStep = (values: Float32Array, at: number) => {
    const i = scored.queryPositions.indexOf(at)
    if (i < 0) return null
    const own = values.subarray(scored.starts[i], scored.starts[i + 1])
    return Array.from(own, (one) => (Number.isNaN(one) ? 'NaN' : one))
  }
  const came = layer.map(
    (one, row) =>
      one === 1 && kvHead[row] === 1 && (action[row] === 'admit' || (action[row] === 'drop' && slot[row] === null)),
  )
  assert.equal(came.filter(Boolean).length, 71)
  return Object.fromEntries(
    Object.entries(lists).map(([name, list]) => [
      name,
      came.map((here, row) => (here ? list(position[row] as number) : null)),
    ]),
  )
}

const lacking = missing(ROOT, READERS)
if (lacking.length) leftOut(`traces in ${lacking.join(', ')}`, 'node scripts/jupyter.mjs --tests (Python ≥ 3.11)')
else
  describe('traces in other programs', function () {
    this.timeout(300_000)
    const folder = ownFolder()
    let model: Model
    before(async () => void (model = await load(toyPath, { weights: 'float32', progress: false })))
    after(() => model.dispose())

    /** What each file was found to be, in order. */
    function opened(...paths: string[]): { metadata: Record<string, string>; found: Record<Library, Found> }[] {
      const python = join(ROOT, '.venv/bin/python')
      const script = fileURLToPath(new URL('read.py', import.meta.url))
      const done = spawnSync(python, [script, ...paths], { encoding: 'utf8', maxBuffer: 1 << 28 })
      assert.equal(done.status, 0, done.stderr)
      return JSON.parse(done.stdout) as ReturnType<typeof opened>
    }

    for (const [name, policy] of Object.entries(POLICIES))
      it(`${name}: the same rows, types and missing values in all of them, from either format`, async () => {
        const session = model.session({ policy, trace: true })
        const prompt = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
        const { trace } = await session.generate(prompt, { maxTokens: 12, ignoreEos: true, progress: false })
        const table = trace.table()
        const endings = ['.arrow', '.parquet']
        const paths = await Promise.all(endings.map((ending) => trace.save(join(folder, name + ending))))
        for (const [i, { found, metadata }] of opened(...paths).entries()) {
          assert.equal((JSON.parse(metadata['zslab.trace']) as { rows: number }).rows, trace.length)
          sameTable(found, table, COLUMNS, endings[i])
        }
      })

    it('vectors and scores: lists on the rows by which tokens came, null on the others, in all of them', async () => {
      const trace: TraceOption = { level: 'vectors', layers: [1], kvHeads: [1], queries: 4, scores: true, every: 5 }
      const session = model.session({ policy: snapkv({ budget: 24, window: 8 }), trace })
      const prompt = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
      const run = await session.generate(prompt, { maxTokens: 12, ignoreEos: true, progress: false })
      const expected = listsByHand(run)
      const paths = await Promise.all(
        ['.arrow', '.parquet'].map((ending) => run.trace.save(join(folder, `lists${ending}`))),
      )
      for (const [i, { found, metadata }] of opened(...paths).entries()) {
        const about = (JSON.parse(metadata['zslab.trace']) as { columns: Record<string, string> }).columns
        for (const library of LIBRARIES)
          for (const [column, values] of Object.entries(expected)) {
            assert.ok(about[column])
            const { type, values: own } = found[library][column]
            assert.deepEqual(own, values, `${library}, ${paths[i]}: ${column}`)
            const inner = i ? 'element' : 'item'
            const types = {
              pandas: 'object',
              'pandas, types of the file': `list<${inner}: float not null>[pyarrow]`,
              polars: 'List(Float32)',
              DuckDB: 'FLOAT[]',
            }
            assert.equal(type, types[library])
          }
      }
    })

    it('measures of heads, their agreement and their judge: the same rows, types and missing values, and the card', async () => {
      const texts = [3, 5].map((by) => Array.from({ length: 24 }, (_, i) => (i * by * 7) % 250))
      const heads = Array.from({ length: model.description.heads }, (_, head) => ({ layer: 1, head }))
      const quiet = { progress: false } as const
      const some = await headImportance(model, texts, { by: ['entropy', 'kvzip'], heads, ...quiet })
      const all = await headImportance(model, texts, { by: ['entropy', 'kvzip'], ...quiet })
      const [agreement, judged] = [all.agreement({ seed: 1 }), await all.judge({ rows: 8, randomOrders: 2, ...quiet })]
      const paths = [
        await some.save(join(folder, 'heads.parquet')),
        await some.save(join(folder, 'measures.arrow'), { by: 'measure' }),
        await agreement.save(join(folder, 'agreement.parquet')),
        await judged.save(join(folder, 'judged.arrow')),
      ]
      const made = [
        [some.table(), headColumns(Object.values(some.measures))],
        [some.byMeasure(), MEASURE_COLUMNS],
        [agreement.table(), AGREEMENT_COLUMNS],
        [judged.table(), JUDGEMENT_COLUMNS],
      ] as const
      for (const [i, { found, metadata }] of opened(...paths).entries()) {
        const { cards, columns } = JSON.parse(metadata['zslab.table']) as { cards: unknown[]; columns: object }
        assert.deepEqual(cards, JSON.parse(JSON.stringify([all.card])))
        assert.deepEqual(Object.keys(columns), Object.keys(made[i][0]))
        sameTable(found, ...made[i], extname(paths[i]))
      }
    })

    it('a study, its summary and its effects: the same rows, types and missing values, words in dictionaries, and the card', async () => {
      const study = await smallStudy(model, undefined).run({ progress: false })
      const texts = ['call', 'prompt', 'cluster', 'effect', 'aliases', 'from', 'to']
      const counts = ['tokens', 'unchanged', 'trials', 'clusters', 'pairs', 'left']
      const some = { study, summary: study.summary(['alpha']), effects: study.effects() }
      const made = Object.entries(some).flatMap(([name, one]) =>
        ['.arrow', '.parquet'].map((ending) => ({ name, one, ending })),
      )
      const paths = await Promise.all(made.map(({ name, one, ending }) => one.save(join(folder, name + ending))))
      for (const [i, { found, metadata }] of opened(...paths).entries()) {
        const { name, one, ending } = made[i]
        const { cards } = JSON.parse(metadata['zslab.table']) as { cards: unknown[] }
        assert.deepEqual(cards, JSON.parse(JSON.stringify(study.cards)))
        const table = one.table()
        const whole = [...counts, ...(name === 'summary' ? ['failed'] : [])]
        const words = [...texts, ...(name === 'study' ? ['failed'] : [])]
        const typeOf = (column: string) =>
          words.includes(column) ? 'text' : whole.includes(column) ? 'int32' : 'float64'
        const columns = Object.keys(table).map((column) => ({ name: column, type: typeOf(column) }) as const)
        sameTable(found, table, columns, ending)
      }
    })

    it('an autopsy, averages and what the microscope found: the same rows, types and missing values, and the runs’ cards', async () => {
      const session = model.session({ policy: POLICIES['evict-only'], trace: true })
      const prompt = Array.from({ length: 60 }, (_, i) => (i * 7) % 250)
      const run = await session.generate(prompt, { maxTokens: 12, ignoreEos: true, progress: false })
      for (const [name, found, columns] of [
        ['autopsy.arrow', run.trace.autopsy(), AUTOPSY_COLUMNS],
        ['autopsy.parquet', run.trace.autopsy({ step: 0 }), AUTOPSY_COLUMNS],
        ['nothing-lost.arrow', run.trace.autopsy({ from: 70, to: 71 }), AUTOPSY_COLUMNS],
        ['averages.parquet', averages([run], { bins: 4 }), AVERAGES_COLUMNS],
      ] as const) {
        const [read] = opened(await found.save(join(folder, name)))
        const { cards } = JSON.parse(read.metadata['zslab.table']) as { cards: unknown[] }
        assert.deepEqual(cards, JSON.parse(JSON.stringify([run.card])))
        sameTable(read.found, found.table(), columns, extname(name))
      }
      const autopsy = run.trace.autopsy({ from: 3, to: 9 })
      const [layers] = opened(await autopsy.save(join(folder, 'layers.parquet'), { by: 'layer' }))
      sameTable(layers.found, autopsy.byLayer(), AUTOPSY_LAYER_COLUMNS, '.parquet')
      const vectors = model.session({ policy: POLICIES.zsmerge, trace: { level: 'vectors', layers: [1] } })
      const merged = await vectors.generate(prompt, { maxTokens: 9, ignoreEos: true, progress: false })
      const quiet = { seed: 1, resamples: 10, progress: false } as const
      const numbers = (name: string) =>
        /^(layer|kvHead)$/.test(name) ? 'uint16' : /^(equations|slots)$/.test(name) ? 'int32' : 'float64'
      const oracles = await merged.oracles({ judged: 1, progress: false })
      const columns = Object.keys(oracles.table()).map((name) => ({ name, type: numbers(name) }) as const)
      const made = [
        ['compensation.arrow', merged.compensation({ layer: 1, kvHead: 0 }), COMPENSATION_COLUMNS],
        ['ablation.parquet', await merged.compensationAblation(quiet), ABLATION_COLUMNS],
        ['oracles.arrow', oracles, columns],
      ] as const
      const reads = opened(...(await Promise.all(made.map(([name, one]) => one.save(join(folder, name))))))
      for (const [i, [name, one, of]] of made.entries()) {
        const { cards } = JSON.parse(reads[i].metadata['zslab.table']) as { cards: unknown[] }
        assert.deepEqual(cards, JSON.parse(JSON.stringify([merged.card])))
        sameTable(reads[i].found, one.table(), of, extname(name))
      }
      await assert.rejects(run.trace.autopsy().save(join(folder, 'x.csv')), {
        code: 'invalid',
        message:
          /the autopsy cannot be saved as .*x\.csv": expected a name ending in \.arrow or \.parquet; csv\(\) gives/,
      })
      await assert.rejects(averages([run]).save(join(folder, 'none', 'x.arrow')), {
        code: 'file',
        message: /the averages could not be/,
      })
    })
  })
