/** `zslab sweep` and `zslab study` as users meet them: a file of TypeScript that is checked, its table, its folder seen and steered from another process. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { briefCalls } from '../../src/show/study-outline-text.js'
import { ownFolder, toyPath } from '../src/model/files.js'
import { cases } from '../scale.js'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))

const studyText = (prompts: number) => `
import { languageModelling, load, sweep, zsmerge } from 'zslab'
import { text } from './texts'
const model = await load(${JSON.stringify(toyPath)}, { weights: 'float32', threads: 1 })
export default sweep({
  model,
  task: languageModelling({ text: text(${prompts}), tokens: 40, rows: 6 }),
  policy: zsmerge,
  base: { budget: 12, recent: 4 },
  over: { alpha: [0, 1], residual: [2, 4] },
  store: 'store',
})
`
const TEXTS = `export const text = (count: number): number[][] =>
  Array.from({ length: count }, (_, i) => Array.from({ length: 40 }, (_, j) => (i * 31 + j * j) % 60))
`

describe('zslab sweep', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const run = (...words: string[]) =>
    spawnSync(process.execPath, [main, ...words], { encoding: 'utf8', cwd: folder, maxBuffer: 1 << 26 })
  before(() => {
    writeFileSync(join(folder, 'texts.ts'), TEXTS)
    writeFileSync(join(folder, 'study.ts'), studyText(6))
    mkdirSync(join(folder, 'inner'))
  })

  it('says what there is to do, does it, and tells what came out', () => {
    const dry = run('sweep', 'study.ts', '--dry-run')
    assert.equal(dry.status, 0, dry.stderr)
    assert.match(
      dry.stdout,
      /^4 settings on 6 prompts of 6 clusters: 24 trials, 0 of them done\n.*\n.*cannot show.*\n$/,
    )
    assert.equal(dry.stderr, '')
    // Nothing has been run, nor before the table has a place.
    const nowhere = run('sweep', 'study.ts', '--csv', 'gone/out.csv')
    assert.match(nowhere.stderr, /^zslab: the table of trials could not be written to "gone\/out\.csv"/)
    assert.ok(!existsSync(join(folder, 'store/study.json')))
    const plan = JSON.parse(run('sweep', 'study.ts', '--dry-run', '--json').stdout) as Record<string, unknown>
    assert.deepEqual([plan.trials, plan.done, 'rows' in plan], [24, 0, false])
    const done = run('sweep', 'study.ts', '--csv', 'out.csv', '--processes', '2')
    assert.equal(done.status, 0, done.stderr)
    assert.match(done.stdout, /alpha 0, residual 2: .* \(6 trials of 6 clusters\)/)
    assert.match(done.stdout, /alpha × residual from 0, 2 to 1, 4/)
    assert.match(done.stderr, /24 rows in out\.csv\n$/)
    const rows = readFileSync(join(folder, 'out.csv'), 'utf8').trim().split('\n')
    assert.equal(rows.length, 25)
    assert.match(rows[0], /^alpha,residual,call,prompt,cluster,seed,tokens,kl,/)
    assert.match(readFileSync(join(folder, 'store/state.json'), 'utf8'), /"processes": 2/)
    assert.match(run('study', 'list').stdout, /^store: zsmerge on language modelling, finished: 24 of 24 trials\n$/)
    const found = JSON.parse(run('sweep', 'study.ts', '--json').stdout) as Record<string, unknown>
    assert.deepEqual(Object.keys(found).slice(-3), ['plan', 'summary', 'effects'])
    assert.equal((found.plan as { done: number }).done, 24)
    assert.equal((found.rows as unknown[]).length, 24)
    assert.equal((found.summary as { rows: unknown[] }).rows.length, 4)
  })

  it('tells of one that halves what was dropped and what may be said, and no effects', () => {
    const halving = "store: 'halved', split: 0.5, design: { halving: { first: 1 } },"
    writeFileSync(join(folder, 'halving.ts'), studyText(6).replace("store: 'store',", halving))
    const { stdout, status, stderr } = run('sweep', 'halving.ts')
    assert.equal(status, 0, stderr)
    assert.match(
      stdout,
      /\n\non 1 cluster: 2 of 4 settings kept.*\non 2 clusters: 1 of 2 settings kept.*\n\nChosen by kl/,
    )
    assert.ok(!stdout.includes('What each dimension does'))
  })

  it('refuses files that are none, with the place of what is wrong', () => {
    const wrong = [
      ['type.ts', studyText(2).replace('alpha: [0, 1]', 'alpha: 3'), /type\.ts:10:\d+.*error/],
      ['other.ts', 'export default 3', /other\.ts exports 3 as its default: expected a study/],
      ['throws.ts', 'throw new Error("mine")\nexport default 1', /mine[\s\S]*throws\.ts:1/],
      ['none.ts', 'export const a = 1', /no default export/],
      ['refused.ts', studyText(2).replace('recent: 4', 'recent: -4'), /recent/],
    ] as const
    for (const [name, text, says] of wrong.slice(0, cases(wrong.length, 3))) {
      writeFileSync(join(folder, name), text)
      const { status, stderr, stdout } = run('sweep', name)
      assert.equal(status, 2, stderr)
      assert.match(stderr, says)
      assert.equal(stdout, '')
    }
    assert.match(run('sweep', 'gone.ts').stderr, /^zslab: there is no file "gone\.ts"/)
    assert.match(run('sweep', 'out.csv').stderr, /expected a file of TypeScript/)
    assert.equal(run('sweep', 'study.ts', '--processes', '0').status, 2)
  })

  it('studies are seen and steered from another process', async () => {
    writeFileSync(join(folder, 'long.ts'), studyText(2000).replace("'store'", "'inner/long'"))
    // It waits from the start.
    mkdirSync(join(folder, 'inner/long'))
    writeFileSync(join(folder, 'inner/long/asked.json'), JSON.stringify({ paused: true }))
    const child = spawn(process.execPath, [main, 'sweep', 'long.ts'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (text: Buffer) => (said += text.toString()))
    const closed = once(child, 'close') as Promise<[number | null]>
    const state = () =>
      JSON.parse(run('study', 'show', 'inner/long', '--json').stdout || '{}') as {
        running?: { pid: number }
        state?: { state: string; trials: { done: number } }
      }
    while (child.exitCode === null && !state().running) await sleep(50)
    while (child.exitCode === null && state().state?.state !== 'paused') await sleep(50)
    assert.equal(state().running?.pid, child.pid)
    const listed = run('study', 'list').stdout
    assert.match(listed, /^inner\/long: zsmerge on language modelling, paused: 0 of 8,000 trials/m)
    assert.match(run('study', 'cancel', 'inner/long', '--policy', 'alpha: 1').stderr, /left out until/)
    assert.equal(run('study', 'stop', 'inner/long').status, 0)
    assert.deepEqual(await closed, [130, null])
    assert.match(said, /what is done is kept in inner\/long/)
    assert.match(run('study', 'show', 'inner/long').stdout, /stopped: 0 of 8,000 trials\n.*left out: alpha: 1/s)
    const asked = () => JSON.parse(readFileSync(join(folder, 'inner/long/asked.json'), 'utf8')) as { paused: boolean }
    for (const [word, paused] of [
      ['pause', true],
      ['resume', false],
    ] as const) {
      assert.equal(run('study', word, 'inner/long').status, 0)
      assert.equal(asked().paused, paused)
    }
    const { status, stderr } = run('study', 'stop', 'inner/long')
    assert.equal(status, 2)
    assert.match(stderr, /nobody runs inner\/long/)
    assert.match(run('study', 'show', 'inner').stderr, /"inner" holds no study/)
  })

  it('calls are told apart by what is not alike', () => {
    assert.deepEqual(briefCalls(["a({ x: 1, y: 'p, q', z: 2 })", "a({ x: 1, y: 'r', z: 2 })", 'b({ x: 1 })', 'c()']), [
      "a({ y: 'p, q' })",
      "a({ y: 'r' })",
      'b()',
      'c()',
    ])
  })
})
