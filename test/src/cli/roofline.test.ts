/** `npx zslab roofline`: the library's numbers as a page, as one object and as CSV; how sizes are written; what it refuses. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { roofline } from '../../../src/index.js'
import { ownFolder, toyPath } from '../model/files.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))
const run = (...words: string[]) => spawnSync(process.execPath, [main, 'roofline', ...words], { encoding: 'utf8' })

describe('npx zslab roofline', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const words = ['--model', 'llama2-7b', '--context', '54k', '--keep', '0.05', '--device', 'h100']
  const asked = { model: 'llama2-7b', context: 54 * 1024, keep: 0.05, device: 'h100' } as const

  it('prints bytes, limits and break-even, all of them predicted', () => {
    const { stdout, stderr, status } = run(...words)
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^Roofline of llama2-7b, 55,296 tokens, batch 1, on h100: predicted, not measured\n/)
    assert.match(stdout, /\n {2}beyond the 4,096 tokens it was trained for: shapes alone\n/)
    assert.match(stdout, /\n {2}h100: 3\.00 TB\/s \(a copy as measured, docs\/cuda\.md\), 80\.0 GB; /)
    assert.match(stdout, /\nweights +13\.2 GB +30\.9% +13\.2 GB +89\.5% +matrices/)
    assert.match(stdout, /\ntokens\/s, at most +70\.1 +203\n/)
    assert.match(stdout, /\nFull over compressed: 2\.88 × in bytes of weights, keys and values alone; /)
    assert.match(stdout, /\nBreak-even at batch 1, .*\n {2}1\.0 ×: from [\d,]+ tokens; from [\d,]+ tokens with that\n/)
    assert.match(stdout, /\nNot counted: launches, /)
  })

  it('--json and --csv: what the library says', async () => {
    const found = await roofline(asked)
    assert.deepEqual(JSON.parse(run(...words, '--json').stdout), JSON.parse(JSON.stringify(found)))
    assert.equal(run(...words, '--csv').stdout, found.csv())
    const path = join(folder, 'parts.csv')
    const { stdout, stderr, status } = run(...words, '--csv', path)
    assert.deepEqual([stdout, stderr, status], ['', `18 rows in ${path}\n`, 0])
    assert.equal(readFileSync(path, 'utf8'), found.csv())
  })

  it('every option reaches the library', async () => {
    const options = {
      batch: 16,
      budget: 512,
      residual: 32,
      weights: 'q4_1',
      storage: 'float16',
      device: 'b200',
      latency: 2.5,
      devices: 4,
      hosts: 2,
      link: 'pcie5',
      network: 'hdr',
      exchange: 'gather',
      granularity: 'layer',
    } as const
    const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    const sizes = ['--memory', '40GB', '--bandwidth', '1.5TB', '--context', '1m']
    const { stdout, stderr } = run('--model', 'llama3.1-8b', ...given, ...sizes, '--json')
    const sized = { memory: 40e9, bandwidth: 1.5e12, context: 1024 ** 2 }
    const found = await roofline({ model: 'llama3.1-8b', ...options, ...sized })
    assert.deepEqual(JSON.parse(stdout || stderr), JSON.parse(JSON.stringify(found)))
    const page = run('--model', 'llama3.1-8b', ...given, ...sizes).stdout
    assert.match(page, /on 2 hosts of 4 b200: predicted, not measured\n/)
    assert.match(page, /b200: 1\.50 TB\/s \(as given\), 40\.0 GB/)
    assert.match(
      page,
      /\nBy devices of a host \(2 hosts, at most 8 sequences on one; link pcie5, exchange 'gather'\):\n/,
    )
    assert.match(
      page,
      /\n4 +[\d.,]+ +[\d.]+% +[\d.,]+ +[\d.]+% +largest batch [\d,]+ and [\d,]+; 129 exchanges, .* sent and 161 exchanges, /,
    )
    assert.match(page, /\nBatch 16 does not fit into 40\.0 GB a device with the full cache\.\n/)
  })

  it('takes a GGUF file', () => {
    const { stdout, status } = run('--model', toyPath, '--context', '512', '--keep', '0.25')
    assert.equal(status, 0)
    assert.match(stdout, /^Roofline of toy\.gguf, 512 tokens, .*\n {2}3 layers, 4 heads over 2 kv heads of 16; /)
    assert.doesNotMatch(stdout, /trained for/)
  })

  it('refuses in a sentence, and names what there is', () => {
    for (const [more, says, code] of [
      [['--model', 'none.gguf', '--context', '1k'], /^zslab: cannot read the model .*: there is no such file/, 1],
      [[...words, '--device', 'h300'], /^zslab: expected one of .*'h200'.* for device but received "h300"\n$/, 2],
      [['--model', 'llama2-7b', '--context', '1.3k'], /expected a whole number of tokens, as 8192 or 54k, but/, 2],
      [[...words, '--memory', '80XB'], /expected bytes, as 80000000000 or 80GB, but received "80XB"/, 2],
      [[...words, '--budget', '64'], /^zslab: --keep and --budget were given, which say the same: leave one\n$/, 2],
      [[...words, '--json', '--csv'], /^zslab: --json and --csv were given: leave one\n$/, 2],
      [[...words, '--csv', join(folder, 'no', 'x.csv')], /^zslab: the table of parts could not be written to/, 1],
    ] as [string[], RegExp, number][]) {
      const { status, stderr, stdout } = run(...more)
      assert.match(stderr, says)
      assert.deepEqual([status, stdout], [code, ''], more.join(' '))
    }
  })
})
