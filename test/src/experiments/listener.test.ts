/** How a study that runs hears what is asked of it: at once what was asked before, and never without telling what went wrong. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Listener } from '../../../src/experiments/listener.js'
import { TrialStore } from '../../../src/experiments/store.js'
import type { Trial } from '../../../src/experiments/trial.js'
import { changeWishes, wishesOf } from '../../../src/experiments/wishes.js'
import { ownFolder } from '../model/files.js'

const trial = (key: string): Trial => ({
  key,
  policy: 'p()',
  prompt: { name: 'a', cluster: 'a', seed: 1, tokens: 3, sha256: 'x' },
  values: null,
  unchanged: false,
  failed: 'as if',
})

describe('a study that listens', () => {
  it('ends at once where it was told to stop before', async () => {
    const folder = ownFolder()
    await changeWishes(folder, () => ({ stopped: true, paused: true }))
    const listener = await Listener.of(folder, await TrialStore.open(folder))
    assert.equal((listener.stop.reason as Error).name, 'AbortError')
    listener.close()
  })

  it('takes out of the store what is to be done again, before anybody sees it', async () => {
    const folder = ownFolder()
    const store = await TrialStore.open(folder)
    await store.add(trial('a'))
    await store.add(trial('b'))
    const left: boolean[] = []
    await changeWishes(folder, () => ({ requeued: ['a', 'gone'] }))
    const seen = () => void left.push(store.get('a') !== undefined)
    const listener = await Listener.of(folder, store, () => Promise.resolve(seen()))
    assert.deepEqual(left, [false])
    assert.deepEqual([...(await TrialStore.open(folder)).all()], [trial('b')])
    assert.deepEqual((await wishesOf(folder)).requeued, [])
    listener.close()
  })

  it('ends by what goes wrong when it hears, also while it is paused', async () => {
    const folder = ownFolder()
    let calls = 0
    const listener = await Listener.of(folder, await TrialStore.open(folder), () => {
      calls++
      return calls > 1 ? Promise.reject(new Error('cannot be held')) : Promise.resolve()
    })
    const waiting = listener.go(listener.stop)
    await changeWishes(folder, () => ({ paused: true }))
    await once(listener.stop, 'abort')
    assert.equal((listener.stop.reason as Error).message, 'cannot be held')
    await Promise.all([waiting, listener.go(listener.stop)])
    listener.close()
  })

  it('without a folder nothing is asked', async () => {
    const listener = await Listener.of(undefined, await TrialStore.open(undefined))
    assert.deepEqual([listener.stop.aborted, listener.wishes.paused], [false, false])
    listener.close()
  })
})
