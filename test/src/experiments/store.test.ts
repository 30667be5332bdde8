/** The folder of a study: broken files, processes that die at any moment, full disks, two at once, and very many trials. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { load, type Model } from '../../../src/index.js'
import { TrialStore } from '../../../src/experiments/store.js'
import type { Trial } from '../../../src/experiments/trial.js'
import { draws, ownFolder, toyPath } from '../model/files.js'
import { alike, cases } from '../../scale.js'
import { onDisk } from '../../small-disk.js'
import { smallStudy } from './small-study.js'

const quiet = { progress: false } as const
const PROGRAM = fileURLToPath(new URL('small-study.ts', import.meta.url))

const trial = (i: number): Trial => ({
  key: i.toString(16).padStart(32, '0'),
  policy: `zsmerge({ alpha: ${i} })`,
  prompt: { name: `text ${i % 7}`, cluster: `book ${i % 3}`, seed: 1, tokens: 1024, sha256: 'a'.repeat(64) },
  values: { kl: i / 7, change: i / 3, loss: 3, agreement: 0.5, bytes: 1e6 },
  unchanged: false,
})

const has = (store: TrialStore, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => from + i).filter((i) => {
    const found = store.get(trial(i).key)
    if (found) assert.deepEqual(found, trial(i))
    return found
  }).length

const trialFiles = (folder: string) => readdirSync(folder).filter((name) => /\.trials?$/.test(name))

describe('stores of trials', () => {
  it('fold files into segments, and read both', async () => {
    const folder = join(ownFolder(), 'study')
    const store = await TrialStore.open(folder)
    for (let i = 0; i < 150; i++) await store.add(trial(i))
    const names = trialFiles(folder)
    assert.deepEqual(
      names.filter((name) => name.endsWith('.trials')),
      ['segment-000000.trials', 'segment-000001.trials'],
    )
    assert.equal(names.length, 2 + 150 - 128)
    const again = await TrialStore.open(folder)
    assert.equal(has(again, 0, 150), 150)
    await again.fold()
    assert.deepEqual(trialFiles(folder).at(-1), 'segment-000002.trials')
    assert.equal(trialFiles(folder).length, 3)
    assert.equal(has(await TrialStore.open(folder), 0, 200), 150)
  })

  it('take a trial that stands in a segment and in a file for one', async () => {
    const folder = join(ownFolder(), 'study')
    const store = await TrialStore.open(folder)
    for (let i = 0; i < 5; i++) await store.add(trial(i))
    const left = trialFiles(folder).map((name) => [name, readFileSync(join(folder, name))] as const)
    await store.fold()
    for (const [name, bytes] of left.slice(2)) writeFileSync(join(folder, name), bytes)
    const again = await TrialStore.open(folder)
    assert.equal(has(again, 0, 9), 5)
    assert.deepEqual(again.faults, [])
  })

  it('name what is broken, wherever, keep the rest, and are whole again once they are folded', async () => {
    const folder = join(ownFolder(), 'study')
    const draw = draws(8)
    const store = await TrialStore.open(folder)
    for (let i = 0; i < 70; i++) await store.add(trial(i))
    const whole = new Map(trialFiles(folder).map((name) => [name, readFileSync(join(folder, name))]))
    for (let round = 0; round < cases(2000, 200); round++) {
      const names = [...whole.keys()]
      const name = names[draw(names.length)]
      const bytes = Buffer.from(whole.get(name)!)
      const at = draw(bytes.length)
      const broken = draw(2) ? bytes.subarray(0, at) : (bytes.fill(bytes[at] ^ (1 << draw(8)), at, at + 1), bytes)
      writeFileSync(join(folder, name), broken)
      const found = await TrialStore.open(folder)
      const count = has(found, 0, 70)
      const lost = name.startsWith('segment') ? 64 : 1
      assert.ok(count >= 70 - lost && count <= 70, `${name}, byte ${at}: ${count}`)
      // A line end at the very end may go: every trial is whole.
      if (count < 70 || found.faults.length)
        assert.deepEqual(
          found.faults.map(({ path }) => path),
          [join(folder, name)],
        )
      writeFileSync(join(folder, name), whole.get(name)!)
    }
    const [segment] = trialFiles(folder).filter((name) => name.startsWith('segment'))
    writeFileSync(join(folder, segment), whole.get(segment)!.subarray(0, 5000))
    const broken = await TrialStore.open(folder)
    assert.match(broken.faults[0].why, /of its 64 trials are whole/)
    for (let i = 0; i < 70; i++) if (!broken.get(trial(i).key)) await broken.add(trial(i))
    await broken.fold()
    const mended = await TrialStore.open(folder)
    assert.deepEqual(mended.faults, [])
    assert.equal(has(mended, 0, 70), 70)
    assert.deepEqual(trialFiles(folder), ['segment-000001.trials'])
  })

  it('hold very many', async () => {
    const folder = join(ownFolder(), 'study')
    const store = await TrialStore.open(folder)
    const count = cases(20_000, 2000)
    for (let i = 0; i < count; i++) await store.add(trial(i))
    await store.fold()
    assert.equal(has(await TrialStore.open(folder), 0, count), count)
  }).timeout(600_000)
})

describe('studies that are kept', () => {
  let model: Model
  before(async () => {
    model = await load(toyPath, { weights: 'float32', threads: 1, progress: false })
  })
  after(() => model?.dispose())

  it(`lose nothing, and count nothing twice, whenever their process is killed`, async () => {
    const undisturbed = (await smallStudy(model, undefined).run(quiet)).rows
    assert.equal(undisturbed.length, 60)
    const draw = draws(77)
    let [kills, finished, folder] = [0, 0, join(ownFolder(), 'study')]
    for (const wanted = alike(40, 8); kills < wanted;) {
      const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, folder], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const closed = once(child, 'close') as Promise<[number | null, string | null]>
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, draw(250)))
      child.kill('SIGKILL')
      const [code, signal] = await closed
      if (signal === 'SIGKILL') kills++
      else assert.equal(code, 0)
      const before = smallStudy(model, folder)
      const { done } = await before.plan(quiet)
      if (done < 60 && kills < wanted) continue
      const study = await smallStudy(model, folder).run(quiet)
      assert.deepEqual(study.rows, undisturbed)
      assert.deepEqual(
        (await study.plan(quiet)).notes.filter((note) => note.includes('broken')),
        [],
      )
      assert.ok(readdirSync(folder).every((name) => !name.endsWith('.part') && !name.endsWith('.trial')))
      finished++
      rmSync(folder, { recursive: true })
      folder = join(ownFolder(), 'study')
    }
    assert.ok(finished > 0)
  }).timeout(1_200_000)

  it('stop with what they have where the disk is full, and go on where it has grown', async () => {
    const [folder, kept] = [ownFolder(), join(ownFolder(), 'study')]
    const disk = onDisk('studies on a disk that is full', folder, 'size=96k')
    if (!disk) return
    const [unshare, ...words] = disk
    // It grows after each try.
    const script = `for size in 96k 128k 4m; do mount -o remount,size=$size "$0"; "$@" "$0/study"; echo "status $?"; done
      cp -r "$0/study" "$KEPT"`
    words.push('sh', '-c', script, folder, process.execPath, '--import', 'tsx', PROGRAM)
    const env = { ...process.env, KEPT: kept }
    const { stdout, stderr } = spawnSync(unshare, words, { encoding: 'utf8', env })
    assert.deepEqual(stdout.match(/status \d+/g), ['status 1', 'status 1', 'status 0'])
    assert.equal(stderr.match(/^ZslabError: trials could not be written to .*ENOSPC/gm)?.length, 2, stderr)
    assert.ok(readdirSync(kept).every((name) => !name.endsWith('.part')))
    const study = smallStudy(model, kept)
    assert.equal((await study.plan(quiet)).done, 60)
    assert.deepEqual((await study.run(quiet)).rows, (await smallStudy(model, undefined).run(quiet)).rows)
  })

  it('write nothing where nothing is missing, so that a folder may come along that nobody writes to', async () => {
    const folder = ownFolder()
    const { rows } = await smallStudy(model, folder).run(quiet)
    const written = () =>
      readdirSync(folder).map((name) => [name, statSync(join(folder, name), { bigint: true }).mtimeNs])
    // As if another machine were running it, and something had been written by another one: neither is asked.
    mkdirSync(join(folder, 'lock'))
    writeFileSync(join(folder, 'coordinator.json'), JSON.stringify({ host: 'another', pid: 1 }))
    writeFileSync(join(folder, 'study.json'), 'as it came')
    const before = written()
    const again = smallStudy(model, folder)
    const { trials, done, notes } = await again.plan(quiet)
    assert.deepEqual([trials, done, notes.length], [60, 60, 0])
    assert.deepEqual((await again.run(quiet)).rows, rows)
    assert.deepEqual(written(), before)
  })

  it('end in a sentence where their lock is taken away, and keep what is done', async () => {
    const folder = ownFolder()
    const study = smallStudy(model, folder)
    let taken = false
    const progress = () => {
      if (taken) return
      taken = true
      rmSync(join(folder, 'lock'), { recursive: true })
      // Longer than the lock goes without being looked after.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000)
    }
    await assert.rejects(study.run({ progress }), /the lock of the study in .* was taken away/)
    assert.equal((await smallStudy(model, folder).run(quiet)).rows.length, 60)
  })

  it('are run by one process at a time, which is named; one that died is nobody', async () => {
    const folder = ownFolder()
    const first = smallStudy(model, folder)
    let started = () => {}
    const under = new Promise<void>((resolve) => (started = resolve))
    const controller = new AbortController()
    const running = first.run({ signal: controller.signal, progress: () => started() })
    await under
    await assert.rejects(smallStudy(model, folder).run(quiet), new RegExp(`being run by process ${process.pid} on`))
    controller.abort(new Error('enough'))
    await assert.rejects(running, /enough/)
    mkdirSync(join(folder, 'lock'))
    writeFileSync(join(folder, 'coordinator.json'), JSON.stringify({ host: hostname(), pid: 2 ** 22 + 1 }))
    await smallStudy(model, folder).run(quiet)
    for (const name of trialFiles(folder)) rmSync(join(folder, name))
    mkdirSync(join(folder, 'lock'))
    writeFileSync(join(folder, 'coordinator.json'), JSON.stringify({ host: 'another', pid: 1 }))
    await assert.rejects(smallStudy(model, folder).run(quiet), /process 1 on another/)
  })
})
