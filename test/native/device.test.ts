/** Devices: every way not to get one is a sentence; on the emulated GPU a model says what it says on the CPU. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { after, before } from 'mocha'
import { createCache, evictOnly, fullCache, headImportance, load, lorc, streaming, tova, zsmerge } from '../../src/index.js'
import type { LoadOptions, Model } from '../../src/index.js'
import { ZslabError, type ErrorCode } from '../../src/errors.js'
import { projectRoot } from '../../src/native/binding.js'
import { ownFolder, toyPath, written } from '../src/model/files.js'
import { canEmulate, emulatedLibrary } from './emulated.js'

const TEXT =
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness'
const more = { maxTokens: 40, ignoreEos: true, progress: false }
const on = (options: LoadOptions = {}) => load(toyPath, { weights: 'float32', progress: false, ...options })

const fails = (work: Promise<unknown>, code: ErrorCode, ...says: RegExp[]) =>
  assert.rejects(work, (error: Error) => {
    assert.ok(error instanceof ZslabError, String(error))
    assert.equal(error.code, code, error.message)
    for (const words of says) assert.match(error.message, words)
    assert.ok(!error.message.includes('\n'), error.message)
    return true
  })

/** `work` while ZSLAB_CUDA_LIBRARY, or the variable `name`, names `library`. */
async function naming<T>(library: string | undefined, work: () => Promise<T>, name = 'ZSLAB_CUDA_LIBRARY'): Promise<T> {
  const before = process.env[name]
  const set = (value: string | undefined) => {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  set(library)
  try {
    return await work()
  } finally {
    set(before)
  }
}

const SHARED = join(projectRoot, 'build/Release/libzslab.so')

describe('devices', () => {
  const folder = ownFolder()

  it('refuses wrong options', async () => {
    for (const [options, says] of [
      [{ device: 'gpu' }, /expected 'cpu', 'auto', 'cuda' or a GPU's number as in 'cuda:1' for device but received "gpu"/],
      [{ device: 'cuda:' }, /for device but received "cuda:"/],
      [{ device: 'cuda:-1' }, /for device but received "cuda:-1"/],
      [{ device: 1 }, /for device but received 1/],
      [{ device: 'cuda', deviceMemory: 0 }, /a whole number ≥ 1 for deviceMemory but received 0/],
      [{ deviceMemory: 1e9 }, /expected nothing with device 'cpu' for deviceMemory but received 1000000000: give device/],
    ] as [object, RegExp][]) {
      await fails(on(options), 'invalid', says)
      const shape = { layers: 1, heads: 1, kvHeads: 1, headDim: 8, policy: fullCache() }
      assert.throws(() => createCache({ ...shape, ...options }), { code: 'invalid', message: says })
    }
  })

  it('says of a library that cannot be used what it is and what to do', async () => {
    const text = written(folder, 'text.so', Buffer.from('no library at all'))
    for (const [library, code, ...says] of [
      [join(folder, 'none.so'), 'native', /ZSLAB_CUDA_LIBRARY names .*none\.so, which is not there: name a libzslab_cuda\.so/],
      [text, 'file', /cannot be loaded: .*text\.so: .*: name another by ZSLAB_CUDA_LIBRARY, or use device 'cpu'/],
      [SHARED, 'invalid', /libzslab\.so is no library with a device: give libzslab_cuda\.so/],
    ] as [string, ErrorCode, RegExp][])
      await naming(library, () => fails(on({ device: 'cuda' }), code, ...says))
  })

  it("'auto' without a GPU is the CPU, and says why", async () => {
    // Whatever is named is not for 'auto'.
    const model = await naming(join(folder, 'none.so'), () => on({ device: 'auto' }))
    try {
      const { device } = model.engine.info
      if (device.kind !== 'cpu') return assert.equal(device.kind, 'cuda')
      assert.match(device.why!, /the library for GPUs is not built .*: .*npx zslab build|no GPU can be used|does not answer/)
      const session = model.session({ policy: zsmerge({ budget: 24, recent: 8, residual: 2 }) })
      const run = await session.generate(TEXT, more)
      const said = `device: cpu (auto: ${device.why})`
      assert.equal(run.receipt.notes.at(-1), said)
      assert.deepEqual(run.card.device, device)
      assert.ok(inspect(model.engine).includes(said) && inspect(run.card).includes(said) && inspect(run.receipt).includes(said))
      session.dispose()
    } finally {
      model.dispose()
    }
  })

  it('the CPU is said by the card alone', async () => {
    const model = await on()
    const session = model.session()
    const run = await session.generate(TEXT, more)
    assert.deepEqual(run.card.device, { kind: 'cpu' })
    assert.match(inspect(run.card), /^ *device: cpu$/m)
    assert.ok(!run.receipt.notes.some((note) => note.includes('device')))
    model.dispose()
  })

  it('commands take --device and --device-memory', () => {
    const main = join(projectRoot, 'dist/src/cli/main.js')
    const ran = (env: NodeJS.ProcessEnv, ...words: string[]) =>
      spawnSync(process.execPath, [main, 'generate', '--model', toyPath, '--prompt', 'a', '--max-tokens', '2', ...words], {
        encoding: 'utf8',
        env: { ...process.env, ...env },
      })
    const wrong = ran({}, '--device', 'gpu')
    assert.deepEqual([wrong.status, wrong.stdout], [2, ''])
    assert.match(wrong.stderr, /^zslab: expected 'cpu', 'auto', 'cuda'[^\n]*received "gpu"\n$/)
    assert.match(ran({}, '--device-memory', '5').stderr, /^zslab: expected nothing with device 'cpu'[^\n]*\n$/)
    const none = ran({ ZSLAB_CUDA_LIBRARY: join(folder, 'none.so') }, '--device', 'cuda:1')
    assert.equal(none.status, 1)
    assert.match(none.stderr, /^zslab: ZSLAB_CUDA_LIBRARY names [^\n]*\n$/)
  })
})

if (canEmulate("device 'cuda', emulated"))
  describe('the emulated GPU', function () {
    this.timeout(600_000)
    let library: string
    let cpu: Model
    let gpu: Model
    before(async () => {
      library = emulatedLibrary()
      cpu = await on({ isa: 'generic' })
      gpu = await naming(library, () => on({ isa: 'generic', device: 'cuda' }))
    })
    after(() => {
      cpu?.dispose()
      gpu?.dispose()
    })

    it('is said to be emulated, everywhere', async () => {
      const { device } = gpu.engine.info
      assert.equal(device.kind, 'emulated')
      const session = gpu.session()
      const run = await session.generate('some words', { ...more, maxTokens: 2 })
      for (const text of [inspect(gpu.engine), inspect(run.card), inspect(run.receipt)])
        assert.match(text, /^ *device: emulated:0 \(emulated on the CPU, at most /m)
      const { attended, seqLen } = run.receipt
      assert.deepEqual(attended, { cpu: 0, device: seqLen * gpu.file.description.layers })
      assert.match(inspect(run.receipt), /: all attention was there$/m)
      session.dispose()
      const auto = await naming(library, () => on({ device: 'auto' }))
      assert.notEqual(auto.engine.info.device.kind, 'emulated')
      auto.dispose()
    })

    /** What comes of `work` is the same on both, where neither has a library for products of many rows. */
    async function same(work: (model: Model) => Promise<unknown>): Promise<void> {
      const there = await naming('none', () => work(gpu), 'ZSLAB_CUBLASLT')
      assert.deepEqual(there, await work(cpu))
    }
    const ZSMERGE = zsmerge({ budget: 24, recent: 8, residual: 2 })

    for (const [name, policy] of Object.entries({
      'the full cache': fullCache(),
      zsmerge: ZSMERGE,
      'evict-only': evictOnly({ budget: 24, recent: 8 }),
      streaming: streaming({ budget: 24 }),
      'TOVA, a layer’s heads together': tova({ budget: 24 }),
      'zsmerge, all layers together': zsmerge({ budget: 24, recent: 8, residual: 2, granularity: 'model' }),
    }))
      it(`gives the tokens of the CPU under ${name}: alone, in forks, after restore`, () =>
        same(async (model) => {
          const session = model.session({ policy })
          await session.prefill(TEXT)
          const snapshot = await session.snapshot()
          const fork = await session.fork()
          const all = []
          for (const one of [session, fork]) {
            const run = await one.generate(undefined, more)
            assert.ok(run.receipt.ok, inspect(run.receipt))
            all.push(run.tokens, run.logprobs, run.receipt.merged, run.receipt.dropped)
          }
          await session.restore(snapshot)
          all.push((await session.generate(undefined, more)).tokens)
          session.dispose()
          fork.dispose()
          return all
        }))

    it('gives the shadow of the CPU: what was missed, of each head too', () =>
      same(async (model) => {
        const session = model.session({ policy: ZSMERGE })
        const run = await session.generate(TEXT, { ...more, maxTokens: 12 })
        const { kl, flips, fullLogprobs, policyLogprobs, local, decodedAgain } = await run.shadow({ progress: false })
        session.dispose()
        assert.ok(local)
        const { error, missed, blurred } = local
        return { kl, flips, fullLogprobs, policyLogprobs, decodedAgain, error, missed, blurred }
      }))

    it('gives the importance of heads that the CPU gives', () =>
      same(async (model) => {
        const by = ['ablation', 'entropy', 'outputError']
        const all = await headImportance(model, [TEXT], { by, policy: ZSMERGE, progress: false })
        return by.map((one) => Array.from(all.of(one).values, (row) => Array.from(row)))
      }))

    it('reads a prompt that comes in several pieces as the CPU does', () =>
      same(async (model) => {
        const session = model.session({ policy: zsmerge({ budget: 64, recent: 16, residual: 4 }) })
        const run = await session.generate('It was the best of times, it was the worst. '.repeat(68), { ...more, maxTokens: 12 })
        assert.ok(session.tokens.length > 1024 + 256, `the prompt has ${session.tokens.length} tokens`)
        session.dispose()
        return [run.tokens, run.logprobs]
      }))

    it('reads a prompt by a library for products of many rows: the same tokens, logprobs within its rounding', async () => {
      const [there, here] = [await naming(library, () => on({ device: 'cuda' })), await on()]
      const all: { tokens: number[]; logprobs: number[] }[] = []
      for (const model of [there, here]) {
        const session = model.session({ policy: fullCache() })
        const run = await session.generate(TEXT, { ...more, maxTokens: 12 })
        const { logprobs } = await model.session({ policy: fullCache() }).score(TEXT, { progress: false })
        all.push({ tokens: run.tokens, logprobs: [...run.logprobs, ...logprobs.slice(1)] })
        model.dispose()
      }
      assert.deepEqual(all[0].tokens, all[1].tokens)
      const apart = all[0].logprobs.map((value, i) => Math.abs(value - all[1].logprobs[i]))
      assert.ok(apart.every((far) => far < 1e-3), `logprobs are up to ${Math.max(...apart)} apart`)
    })

    it('a prompt that is stopped on the way leaves nothing behind', () =>
      same(async (model) => {
        const session = model.session({ policy: ZSMERGE })
        if (model === gpu) {
          const stop = new AbortController()
          const options = { signal: stop.signal, progress: () => stop.abort(new Error('enough')) }
          await assert.rejects(session.prefill(TEXT.repeat(12), options), /enough/)
          assert.equal(session.tokens.length, 0)
        }
        const { tokens, logprobs, receipt } = await session.generate(TEXT, { ...more, maxTokens: 12 })
        assert.ok(receipt.ok, inspect(receipt))
        session.dispose()
        return [tokens, logprobs, receipt.merged]
      }))

    it('refuses a number that is not there, more memory than is free, and what it cannot do', async () => {
      await naming(library, async () => {
        await fails(on({ device: 'cuda:7' }), 'invalid', /device 7 is not there: the driver finds 2, from 0 to 1/)
        await fails(on({ device: 'cuda', deviceMemory: 1e13 }), 'memory', /are free: give at most so many/)
        const other = await on({ device: 'cuda:1' })
        assert.equal((other.engine.info.device as { number: number }).number, 1)
        other.dispose()
      })
      assert.throws(() => gpu.session({ policy: lorc({ rank: 4 }) }), { code: 'unsupported', message: /does not run on a device yet/ })
    })

    it('has no slots of int8 or int4, nor has the CPU', () => {
      for (const storage of ['int8', 'int4'] as unknown[] as 'float32'[]) {
        const says = { code: 'invalid', message: new RegExp(`'float32', .* for storage but received "${storage}"`) }
        for (const model of [cpu, gpu]) assert.throws(() => model.session({ policy: fullCache(), storage }), says)
      }
    })

    it('gives memory back: what does not fit beside another session fits once that is disposed', async () => {
      const small = await naming(library, () => on({ device: 'cuda', deviceMemory: 1 << 20 }))
      const policy = fullCache()
      const held = []
      let wrong: unknown
      for (let i = 0; i < 64 && !wrong; ++i) {
        const session = small.session({ policy })
        held.push(session)
        await session.generate(TEXT, { ...more, maxTokens: 2 }).catch((error: unknown) => (wrong = error))
      }
      assert.ok(wrong instanceof ZslabError && wrong.code === 'memory', String(wrong))
      assert.match(wrong.message, /the device's memory is used up: .*dispose of sessions/)
      held.forEach((session) => session.dispose())
      const again = small.session({ policy })
      assert.ok((await again.generate(TEXT, more)).receipt.ok)
      small.dispose()
    })

    it('says how much the weights need, and of a cache that does not fit which budget would', async () => {
      await naming(library, async () => {
        const says = /the model's weights are \d+\.\d MB, and the device has 0\.1 MB left of 0\.1 MB: give the device more memory/
        await fails(on({ device: 'cuda', deviceMemory: 100_000 }), 'memory', says)
        const little = await on({ device: 'cuda', deviceMemory: 1_000_000 })
        const long = TEXT.repeat(12)
        let wrong: Error | undefined
        const session = little.session({ policy: fullCache(), storage: 'float32' })
        await session.generate(long, { ...more, maxTokens: 2 }).catch((error: unknown) => (wrong = error as Error))
        session.dispose()
        const [, budget] = /here a budget of about (\d+) slots a kv head fits$/.exec(wrong!.message) ?? []
        assert.ok(Number(budget) > 16, wrong!.message)
        const fits = little.session({ policy: zsmerge({ budget: Number(budget) }), storage: 'float32' })
        assert.ok((await fits.generate(long, { ...more, maxTokens: 2 })).receipt.ok)
        little.dispose()
      })
    })
  })
