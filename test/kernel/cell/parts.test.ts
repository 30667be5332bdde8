/** Parts of the cell process and of what it says to the wire process, without processes. */
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { Comms } from '../../../kernel/cell/comms.js'
import { bundleOf, show } from '../../../kernel/cell/display.js'
import { errorContent, Interrupted } from '../../../kernel/cell/errors.js'
import { FrameReader, writeFrames, type FromCell } from '../../../kernel/cell/protocol.js'
import { scopeOf, Waits } from '../../../kernel/cell/scope.js'
import { NativeText } from '../../../kernel/wire/native-text.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('cell: frames and text', () => {
  it('frames are found wherever the stream is cut', () => {
    const frames: FromCell[] = [
      { op: 'ready' },
      { op: 'stream', name: 'stdout', text: 'é'.repeat(300) },
      { op: 'stream', name: 'stderr', text: 'x', from: 70_000 },
      { op: 'answer', id: 1, value: null },
    ]
    const folder = mkdtempSync(join(tmpdir(), 'frames-test-'))
    const path = join(folder, 'frames')
    const file = openSync(path, 'w')
    writeFrames(file, ...frames)
    for (const frame of frames) writeFrames(file, frame)
    closeSync(file)
    const bytes = readFileSync(path)
    rmSync(folder, { recursive: true })
    for (const size of [1, 2, 3, 5, 7, 100, bytes.length]) {
      const reader = new FrameReader()
      const found: FromCell[] = []
      for (let at = 0; at < bytes.length; at += size)
        reader.push(bytes.subarray(at, at + size), (frame) => found.push(frame))
      assert.deepEqual(found, [...frames, ...frames])
    }
  })

  it('native text is passed on as it is, wherever it is cut', async () => {
    const all = 'one\u0000 two é 🙂 three'
    for (let size = 1; size < 8; size++) {
      let got = ''
      const stream = new PassThrough()
      const text = new NativeText(stream, (piece) => (got += piece))
      const bytes = Buffer.from(all)
      for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size))
      stream.end()
      await text.closed
      assert.equal(got, all)
    }
  })

  it('a character of native text whose end never comes is not lost', async () => {
    let got = ''
    const stream = new PassThrough()
    const text = new NativeText(stream, (piece) => (got += piece))
    stream.end(Buffer.from('last é').subarray(0, -1))
    await text.closed
    assert.equal(got, 'last \ufffd')
  })
})

describe('cell: awaits', () => {
  const source = { file: 'x.ts', label: 'x', source: '', position: () => undefined }
  const require = {} as NodeJS.Require
  const home = { scope: { import: (name: unknown) => Promise.resolve(name), require, meta: {} as ImportMeta }, require }
  const scope = (waits: Waits) => scopeOf(waits, source, home)

  it('an interrupt ends those that are pending, and not those that begin after it', async () => {
    const waits = new Waits()
    const never = waits.wait(new Promise(() => undefined))
    waits.interrupt(new Interrupted())
    await assert.rejects(never, Interrupted)
    assert.equal(await waits.wait(Promise.resolve(1)), 1)
    assert.equal(scope(waits).wait(5, 0, 0), 5)
  })

  it('iterators are closed when a loop breaks, and when it is interrupted', async () => {
    const closed: string[] = []
    const source = (name: string, next: () => Promise<IteratorResult<number>>) => ({
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => (closed.push(name), { done: true as const, value: 0 }),
      }),
    })
    const waits = new Waits()
    let seen = 0
    for await (const one of scope(waits).each(
      source('broken', async () => ({ done: false, value: 1 })),
      0,
      0,
    )) {
      seen += one as number
      if (seen === 2) break
    }
    const loop = (async () => {
      for await (const one of scope(waits).each(
        source('left', () => new Promise(() => undefined)),
        0,
        0,
      ))
        assert.fail(String(one))
    })()
    await turn()
    waits.interrupt(new Interrupted())
    await assert.rejects(loop, Interrupted)
    assert.deepEqual(closed, ['broken', 'left'])
  })
})

describe('cell: bundles, errors, comms', () => {
  it('JSON stays JSON, bytes become base64, text/plain is always there', async () => {
    const value = {
      [Symbol.for('jupyter.mimebundle')]: () => [
        { 'application/json': { a: [1] }, 'image/png': new Uint8Array([255]) },
        { width: 5 },
      ],
    }
    const shown = await show(value)
    assert.deepEqual(shown.data['application/json'], { a: [1] })
    assert.equal(shown.data['image/png'], '/w==')
    assert.equal(typeof shown.data['text/plain'], 'string')
    assert.deepEqual(shown.metadata, { width: 5 })
    const ring: Record<string, unknown> = {}
    ring.self = ring
    assert.throws(
      () => bundleOf({ 'application/json': ring }, 'a display'),
      /a display, application\/json cannot be written as JSON/,
    )
    for (const wrong of [null, 5, 'x', []])
      assert.throws(() => bundleOf(wrong, 'it'), /it should be an object from MIME types/)
  })

  it('values whose properties throw are shown all the same', () => {
    const hostile = new Proxy(new Error('x'), {
      get: () => {
        throw new Error('no')
      },
    })
    assert.match(errorContent(hostile).evalue, /cannot be shown/)
    assert.equal(errorContent(undefined).evalue, 'undefined')
  })

  it('a closed comm is silent, unknown targets are answered', () => {
    const sent: FromCell[] = []
    const comms = new Comms((frame) => sent.push(frame))
    const event = { op: 'comm' as const, id: 1, data: {}, metadata: {}, buffers: [] }
    comms.receive({ ...event, kind: 'open', commId: 'a', target: 'none' })
    assert.equal((sent[0] as { type: string }).type, 'comm_close')
    const stop = comms.register('t', (comm) => comm.send({ hello: 1 }))
    comms.receive({ ...event, kind: 'open', commId: 'b', target: 't' })
    assert.deepEqual(comms.list('t'), { b: { target_name: 't' } })
    comms.receive({ ...event, kind: 'close', commId: 'b' })
    assert.deepEqual(comms.list(), {})
    stop()
    comms.receive({ ...event, kind: 'open', commId: 'c', target: 't' })
    assert.deepEqual(
      sent.map((frame) => (frame as { type: string }).type),
      ['comm_close', 'comm_msg', 'comm_close'],
    )
  })
})
