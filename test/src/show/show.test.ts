/** Every object that the library hands out shows itself: the same words in a terminal and as a cell's last line. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import * as library from '../../../src/index.js'
import {
  adakv,
  createCache,
  definePolicy,
  evictOnly,
  figures,
  fullCache,
  load,
  lowest,
  POLICIES,
  snapkv,
  zsmerge,
  type Model,
  type Run,
  type Session,
} from '../../../src/index.js'
import { showsItself } from '../../../src/show/show.js'

const TEXT = 'It was the best of times, it was the worst of times, it was the age of wisdom'
const plainOf = (value: unknown) =>
  (value as Record<symbol, () => Record<string, string>>)[Symbol.for('Jupyter.display')]()['text/plain']

describe('objects show themselves', function () {
  let model: Model
  let session: Session
  let run: Run
  before(async () => {
    model = await load('test/models/toy.gguf', { progress: false })
    session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: true })
    run = await session.generate(TEXT, { maxTokens: 8, progress: false, ignoreEos: true })
  })
  after(() => model.dispose())

  function shows(value: unknown, ...words: RegExp[]): void {
    const text = inspect(value)
    for (const word of words) assert.match(text, word)
    assert.doesNotMatch(text, /External|native|handle|\[Object/)
    const shown = plainOf(value)
    assert.ok(text.startsWith(shown), `${text}\n≠\n${shown}`)
  }

  it('a model: name, shape, bytes per token, what next', () => {
    const { layers, kvHeads, headDim } = model.description
    const bytes = 2 * layers * kvHeads * headDim * (model.weights === 'float32' ? 4 : 2)
    shows(
      model,
      /^Model .*toy/,
      new RegExp(`${layers} layers`),
      new RegExp(`${bytes} bytes per token`),
      /next: model\.session/,
    )
  })

  it('a policy: the call that makes it, with every option', () => {
    shows(evictOnly({ decay: 1 }), /^Policy evictOnly\(\{ budget: 0\.2,.* decay: 1,/, /npx zslab policies evict-only/)
    shows(fullCache(), /^Policy fullCache\(/)
    shows(zsmerge({ mode: 'paper' }), /zsmerge\(\{ mode: 'paper', .*init: 'similarity'/)
    shows(adakv({ of: snapkv({ budget: 0.1 }) }), /adakv\(\{ of: snapkv\(\{ variant: .*budget: 0\.1/)
    assert.match(String(snapkv()), /^snapkv\(/)
  })

  it('sessions, their snapshots, and what is left of them', async () => {
    shows(
      session,
      /^Session of .*toy.* under zsmerge\(/,
      /every event is kept/,
      /tokens read; .* in the cache/,
      /next: /,
    )
    const snapshot = await session.snapshot()
    shows(snapshot, /^Snapshot of a session under zsmerge/, /restore\(snapshot\)/)
    snapshot.dispose()
    const other = model.session()
    shows(other, /under fullCache/, /no events are kept/, /0 of /)
    other.dispose()
    shows(other, /disposed: make a new one/)
  })

  it('runs and what hangs on them', async () => {
    shows(run, /8 tokens, ended by length/, /receipt ok/)
    shows(run.trace, /^Trace of [\d,]+ events: [\d,]+ admit/, /trace\.events\(\)/)
    shows(run.receipt, /^Receipt ok: /, /merged/)
    shows(run.bytes, /in the cache/, /by region: /)
    const shadow = await run.shadow()
    shows(shadow, /^Shadow of zsmerge, 24 slots/, /mean KL/)
    shows(
      shadow,
      /own outputs are off by [\d.]+% in the mean: [\d.]+% by dropping, merging [+−]/,
      /missed most: position \d+, merged/,
    )
    shows(await run.shadow({ local: false }), /likeliest\n.*next: figures\.divergence\(shadow\);/)
    shows(figures.divergence(shadow), /^zsmerge, 24 slots: mean KL/)
    shows(run.trace.events(), /^step\tlayer/, /rows × 17 columns/)
    const quiet = await model.session().generate(TEXT, { maxTokens: 1, progress: false })
    shows(quiet.trace, /the session kept none/, /trace: true/)
    const generation = model.session().generate(TEXT, { maxTokens: 1, progress: false })
    shows(generation, /^Generation under way: 0 tokens/)
    await generation
  })

  it('a head as it was at a step, and what it would have been under another α', async () => {
    const own = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }), trace: 'vectors' })
    const kept = await own.generate(TEXT, { maxTokens: 8, progress: false, ignoreEos: true })
    const head = { layer: 0, kvHead: 1 }
    shows(
      run.trace.cacheAt({ step: 3, ...head }),
      /^Layer 0, kv head 1 at the end of step 3: 24 slots, 2\d of a/,
      /level: 'vec/,
    )
    shows(kept.trace.cacheAt(head), /merged: slot \d for \d+ tokens/, /head\.keys, head\.values \[slots, headDim\]/)
    const whatIf = kept.whatIf({ step: 3, ...head })
    shows(whatIf, /^What if α were another at step 3 \(position \d+\): 2\d slots, \d of them merged/, /at\(0\.6\)/)
    shows(whatIf.at(0.6), /^At α 0\.6: output error [\d.]+% \(by query head [\d.]+%, /)
    own.dispose()
  })

  it('a cache', () => {
    const cache = createCache({ layers: 2, heads: 4, kvHeads: 2, headDim: 8, policy: snapkv({ budget: 0.5 }) })
    shows(
      cache,
      /^Cache under snapkv/,
      /2 layers, 4 heads over 2 kv heads of 8, storage float32, 256 bytes per token/,
      /prefill\(layer/,
    )
    cache.dispose()
    assert.equal(inspect(cache), '[Cache]')
  })

  it('what hangs on a model: file, description, tokenizer, engine', () => {
    shows(model.file, /^Model file .*toy\.gguf: 30 tensors, 246\.2 kB/, /3 layers/, /next: file\.description/)
    shows(model.description, /^zslab toy, a llama model of 133,440 parameters/, /hidden 64/, /next: /)
    shows(model.tokenizer, /^Tokenizer of 319 tokens/, /texts end with <\|im_end\|> \(2\)/, /tokenizer\.encode\('…'\)/)
    shows(model.engine, /^Engine on \d+ threads?, kernels \w+, matrix products by /, /next: /)
  })

  it('cards, scores, the state of a layer', async () => {
    shows(
      run.card,
      /^Run card: toy\.gguf, 133,440 parameters/,
      /policy zsmerge \{"budget":24,/,
      /next: JSON\.stringify/,
    )
    const score = await model.session().score(TEXT)
    shows(score, new RegExp(`^Score of ${score.tokens.length} tokens: perplexity \\d`), /next: score\.logprobs/)
    const cache = createCache({ layers: 1, heads: 2, kvHeads: 2, headDim: 4, policy: fullCache() })
    const rows = () => new Float32Array(5 * 2 * 4)
    await cache.prefill(0, rows(), rows(), rows())
    shows(cache.state(0), /^State of a layer after 5 tokens: 2 kv heads, 5 slots each/, /\[10, 4\]/, /next: rows/)
    cache.dispose()
  })

  it('the list of policies, each of them, and a policy of your own', () => {
    shows(POLICIES, new RegExp(`^${POLICIES.length} policies`), /zsmerge +\w/, /next: policyNamed/)
    for (const policy of POLICIES)
      shows(policy, new RegExp(`^Policy ${policy.name}: `), /options: /, /next: policyNamed/)
    const own = definePolicy({
      name: 'own',
      evict: ({ heads }) => heads.map(({ scores, excess }) => lowest(scores, excess)),
    })
    shows(own(), /^Policy own\(\{ budget: 0\.2/, /yours to say/)
  })

  it('all that the library exports is a function, a class of these, or shows itself', () => {
    for (const [name, value] of Object.entries(library))
      assert.ok(typeof value === 'function' || name === 'figures' || inspect.custom in (value as object), name)
    for (const one of [library.Model, library.Session, library.Run, library.Generation, library.Cache, library.Trace])
      assert.ok(inspect.custom in one.prototype, one.name)
  })

  it('within others, and what cannot be told', () => {
    assert.match(inspect({ a: { policy: fullCache() } }), /policy: Policy fullCache\(\{ .*chunk: 256 \}\)\n {4,}next/)
    assert.match(inspect({ a: { b: { c: { policy: fullCache() } } } }), /\[Object\]/)
    assert.match(inspect([[[fullCache()]]]), /\[Policy fullCache\(\{ .*chunk: 256 \}\)\]|\[Array\]/)
    class Odd {}
    showsItself(Odd.prototype, () => {
      throw new Error('no')
    })
    assert.equal(inspect(new Odd()), '[Odd]')
    const names = [
      'name',
      'mode',
      'options',
      'of',
      'acts',
      'rotates',
      'endless',
      'projects',
      'alters',
      'citation',
      'native',
    ]
    assert.deepEqual(Object.keys(fullCache()), names)
  })
})
