/** The command line as users meet it: exit codes, one clear line on stderr, pure JSON on stdout, the dump's tensors. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownFolder, toyPath, written } from '../src/model/files.js'

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
const run = (...words: string[]) =>
  spawnSync(process.execPath, [main, ...words], { encoding: 'utf8', maxBuffer: 1 << 26 })

describe('cli', function () {
  this.timeout(300_000)
  const folder = ownFolder()
  const toy = ['generate', '--model', toyPath, '--weights', 'float32']

  it('help and usage errors have their exit codes', () => {
    assert.equal(run('--help').status, 0)
    assert.match(run('generate', '--help').stdout, /--score-merge <value>/)
    for (const [words, says] of [
      [['nonsense'], /unknown command/],
      [['generate'], /no prompt: give one with --prompt/],
      [['generate', '--prompt', 'a', '--prompt-file', 'b'], /--prompt and --prompt-file were given/],
      [['generate', '--prompt', 'a', '--policy', 'h2o'], /Allowed choices are full, zsmerge/],
      [
        ['generate', '--prompt', 'a', '--policy', 'zsmerge', '--budget', 'much'],
        /share below 1 or a count of slots for budget but received "much"/,
      ],
      [
        ['generate', '--prompt', 'a', '--policy', 'full', '--budget', '3'],
        /^zslab: full has no option "budget"[^\n]*\n$/,
      ],
      [
        ['generate', '--prompt', 'a', '--policy', 'full', '--of', 'zsmerge'],
        /--of is for policies that work on another one/,
      ],
      [['generate', '--prompt', 'a', '--policy', 'adakv'], /adakv works on another policy: name it with --of/],
      [
        [...toy, '--prompt', 'a', '--policy', 'snapkv', '--think-window', '3'],
        /^zslab: snapkv has no option "thinkWindow"/,
      ],
      [['generate', '--prompt', 'a', '--max-tokens', '1.5'], /expected a whole number/],
      [[...toy, '--prompt', ''], /^zslab: the prompt is empty[^\n]*\n$/],
      [['policies', 'h2o'], /^zslab: no policy is called "h2o"/],
      [
        [...toy, '--prompt', 'a', '--max-tokens', '0'],
        /^zslab: expected a whole number ≥ 1 for maxTokens but received 0\n$/,
      ],
      [[...toy, '--prompt', 'a', '--top-p', '3'], /^zslab: [^\n]*topP but received 3\n$/],
      [[...toy, '--prompt', 'a', '--temperature', '0', '--top-k', '3'], /^zslab: topK has no effect at temperature 0/],
      [[...toy, '--prompt', 'a', '--threads', '0'], /^zslab: [^\n]*threads[^\n]*received 0/],
      [['score', ...toy.slice(1), '--prompt', 'a b c', '--feed', '0'], /^zslab: [^\n]*chunk[^\n]*received 0/],
      [
        [...toy, '--prompt-ids', written(folder, 'wrong.json', Buffer.from('[1, 9999]'))],
        /^zslab: [^\n]*token 1 but received 9999/,
      ],
    ] as [string[], RegExp][]) {
      const { status, stderr, stdout } = run(...words)
      assert.equal(status, 2, words.join(' '))
      assert.match(stderr, says)
      assert.equal(stdout, '')
    }
  })

  it('failures are one line and exit code 1', () => {
    for (const [words, says] of [
      [['generate', '--prompt', 'a', '--model', './nowhere.gguf'], /^zslab: there is no model file[^\n]*\n$/],
      [['generate', '--prompt-ids', written(folder, 'bad.json', Buffer.from('{'))], /^zslab: .*is no JSON[^\n]*\n$/],
      [['generate', '--prompt-file', join(folder, 'none.txt')], /^zslab: cannot read[^\n]*\n$/],
      [
        ['generate', '--prompt-file', written(folder, 'latin1.txt', Buffer.from('a caf\xe9 \ufffd', 'latin1'))],
        /^zslab: "[^\n]*latin1.txt" is no UTF-8 text: found byte 0xe9 at offset 5, [^\n]*iconv[^\n]*\n$/,
      ],
      [
        ['score', '--prompt-file', written(folder, 'cut.txt', Buffer.from('\ufeff\ufffdé €').subarray(0, -1))],
        /found byte 0xe2 at offset 9, /,
      ],
      [['score', '--prompt-ids', written(folder, 'utf16.json', Buffer.from('[1]', 'utf16le'))], /no array|no JSON/],
    ] as [string[], RegExp][]) {
      const { status, stderr, stdout } = run(...words)
      assert.match(stderr, says)
      assert.equal(status, 1, words.join(' '))
      assert.equal(stdout, '')
    }
  })

  it('generate --json --dump writes one object and every tensor', () => {
    const ids = written(
      folder,
      'ids.json',
      Buffer.from(JSON.stringify(Array.from({ length: 40 }, (_, i) => (i * 7) % 250))),
    )
    const path = join(folder, 'state.safetensors')
    const policy = ['--policy', 'zsmerge', '--budget', '24', '--recent', '8', '--residual', '2']
    const { stdout, stderr, status } = run(
      ...toy,
      '--prompt-ids',
      ids,
      ...policy,
      '--max-tokens',
      '12',
      '--ignore-eos',
      '--json',
      '--dump',
      path,
    )
    assert.equal(status, 0, stderr)
    const result = JSON.parse(stdout) as {
      tokens: number[]
      receipt: { ok: boolean }
      card: { policy: { options: { decay: number } } }
    }
    assert.equal(result.tokens.length, 12)
    assert.ok(result.receipt.ok)
    assert.equal(result.card.policy.options.decay, 0.98)
    for (const key of ['text', 'timings', 'bytes']) assert.ok(key in result, key)
    const bytes = readFileSync(path)
    const length = Number(bytes.readBigUInt64LE(0))
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
      string,
      { dtype: string; shape: number[]; data_offsets: number[] }
    >
    const ints = (name: string) => {
      const [from, to] = header[name].data_offsets
      return new Int32Array(Uint8Array.from(bytes.subarray(8 + length + from, 8 + length + to)).buffer)
    }
    assert.deepEqual(header['layers.0.keys'].shape.slice(0, 1), [ints('layers.0.heads').at(-1)])
    assert.deepEqual([header['layers.0.weights'].dtype, header['layers.0.origins.offsets'].dtype], ['F32', 'I32'])
    assert.equal(header['tokens'].shape[0], 12)
    const [layers, kvHeads] = [
      Object.keys(header).filter((name) => name.endsWith('.keys')).length,
      header['layers.0.heads'].shape[0] - 1,
    ]
    // Every decode step on the full cache sends one token of every head away; the last token is not read.
    assert.deepEqual(header['events'].shape, [11 * layers * kvHeads, 6])
    const events = ints('events')
    assert.equal(events[0], 1)
    for (let i = 0; i < events.length; i += 6)
      assert.ok(events[i + 4] === 0 || events[i + 4] === 1, 'a merge into a residual slot')
  })

  it('a wrapper’s flags are its own, all others go to what it works on', () => {
    const words = [...toy, '--prompt', 'a b c '.repeat(20), '--max-tokens', '2', '--ignore-eos', '--json']
    const policyOf = (...more: string[]) => {
      const { stdout, stderr } = run(...words, '--policy', 'think', ...more)
      assert.ok(stdout, stderr)
      return (JSON.parse(stdout) as { card: { policy: { options: object; of: { name: string; options: object } } } })
        .card.policy
    }
    const { options, of } = policyOf('--of', 'snapkv', '--window', '8', '--budget', '30', '--think-window', '4')
    assert.deepEqual(options, { ratio: 0.4, recent: 32, window: 4 })
    assert.deepEqual(of, { ...of, name: 'snapkv', options: { ...of.options, window: 8, budget: 30 } })
    const alone = policyOf('--think-ratio', '0.5', '--chunk', '16')
    assert.deepEqual(alone.options, { ratio: 0.5, recent: 32, window: 32 })
    assert.deepEqual(alone.of, { ...alone.of, name: 'full', options: { ...alone.of.options, chunk: 16 } })
  })

  it('--no-origins keeps counts alone: the same tokens, fewer bytes that keep account', () => {
    const words = ['--model', toyPath, '--prompt', 'a b c '.repeat(20), '--max-tokens', '4', '--ignore-eos', '--json']
    const [kept, counts] = [[], ['--no-origins']].map((more) => {
      const { stdout, stderr } = run('generate', ...words, '--policy', 'zsmerge', '--budget', '24', ...more)
      assert.ok(stdout, stderr)
      return JSON.parse(stdout) as { tokens: number[]; bytes: { byRegion: { bookkeeping: number } } }
    })
    assert.deepEqual(counts.tokens, kept.tokens)
    assert.ok(counts.bytes.byRegion.bookkeeping < kept.bytes.byRegion.bookkeeping)
  })

  it('reads a text beyond the context where positions are within the cache, and refuses a stride elsewhere', () => {
    const words = [
      '--model',
      toyPath,
      '--prompt',
      'a '.repeat(2600),
      '--policy',
      'streaming',
      '--budget',
      '64',
      '--json',
    ]
    const { stdout, status, stderr } = run('score', ...words, '--positions', 'cache', '--stride', '32', '--feed', '128')
    assert.equal(status, 0, stderr)
    const { tokens, perplexity } = JSON.parse(stdout) as { tokens: number[]; perplexity: number }
    assert.ok(tokens.length > 2048 && perplexity > 1)
    const full = run('score', ...words)
    assert.deepEqual([full.status, /context of .* holds 2048: shorten it/.test(full.stderr)], [2, true], full.stderr)
    const wrong = run('score', ...words, '--stride', '32')
    assert.equal(wrong.status, 2)
    assert.match(wrong.stderr, /expected 0 with positions 'absolute'.* for stride but received 32: leave it out/)
    assert.equal(run('score', ...words, '--positions', 'here').status, 2)
  })

  it('score and policies speak JSON', () => {
    const { stdout, status, stderr } = run('score', '--model', toyPath, '--prompt', 'a few words to score', '--json')
    assert.equal(status, 0, stderr)
    const scored = JSON.parse(stdout) as { tokens: number[]; logprobs: (number | null)[]; perplexity: number }
    assert.equal(scored.logprobs.length, scored.tokens.length)
    assert.equal(scored.logprobs[0], null)
    assert.ok(scored.perplexity > 1)
    const list = JSON.parse(run('policies', '--json').stdout) as { name: string }[]
    assert.deepEqual(
      list.map((policy) => policy.name),
      [
        'full',
        'zsmerge',
        'streaming',
        'evict-only',
        'snapkv',
        'tova',
        'random',
        'quest',
        'lorc',
        'minicache',
        'adakv',
        'think',
      ],
    )
  })
})
