/** Cards in files: broken, foreign, older and newer ones are told apart, and nothing is called that makes no figure. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as zslab from '../../../src/index.js'
import { figures, load, zsmerge } from '../../../src/index.js'
import { madeAgain } from '../../../src/recipe/again.js'
import type { FigureCard } from '../../../src/recipe/card.js'
import { cardInFile } from '../../../src/recipe/in-file.js'
import { ownFolder, toyPath, written } from '../model/files.js'

describe('cards in files', () => {
  const folder = ownFolder()
  let card: FigureCard
  let svg: string
  const carded = (change: object) => JSON.stringify({ card: { ...card, ...change } })
  const kept = (name: string, content: string | Uint8Array) => written(folder, name, Buffer.from(content))

  before(async () => {
    const model = await load(toyPath)
    const session = model.session({ policy: zsmerge({ budget: 16, recent: 6, residual: 2 }) })
    const run = await session.generate('a b c '.repeat(20), { maxTokens: 2, seed: 3, progress: false })
    const path = await figures.memory(run).save(join(folder, 'f.svg'))
    ;[card, svg] = [await cardInFile(path), readFileSync(path, 'utf8')]
    model.dispose()
  })

  it('say what they are of', () => {
    assert.deepEqual(
      [card.format, card.version, card.figure, card.options, card.of],
      ['zslab.figure', 1, 'memory', {}, [{ $: 'run' }]],
    )
    assert.deepEqual(
      card.input.map(({ name, call, on }) => [name, call, on]),
      [
        ['model', 'load', undefined],
        ['policy', 'zsmerge', undefined],
        ['session', 'session', 'model'],
        ['run', 'generate', 'session'],
      ],
    )
    assert.match(card.input[0].sha256!, /^[0-9a-f]{64}$/)
    assert.ok(!/"\//.test(JSON.stringify(card)), 'a path of this machine')
  })

  it('whatever a file lacks is said, with what to do', async () => {
    const png = readFileSync(
      await figures.roofline(await zslab.roofline({ model: 'llama2-7b', context: 4096 })).save(join(folder, 'r.png')),
    )
    for (const [name, content, says] of [
      ['none.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>', /none\.svg has no card: /],
      ['none.pdf', '%PDF-1.7\n', /none\.pdf has no card/],
      ['none.png', png.subarray(0, 60), /none\.png has no card/],
      ['cut.png', png.subarray(0, png.indexOf('zslab:card') + 200), /cut\.png: its card is broken/],
      ['empty.png', '', /has no card/],
      ['cut.svg', svg.replace(/<zslab:card([^>]*)>.{40}/, '<zslab:card$1>'), /cut\.svg: its card is broken \(.*\): /],
      ['off.svg', svg.slice(0, svg.indexOf('<zslab:card') + 300), /off\.svg: its card is broken \(.*\): /],
      ['cut.json', '{"card":', /cut\.json: its card is broken/],
      ['null.json', 'null', /null\.json has no card/],
      ['foreign.json', '{"card":{"format":"else"}}', /what it has for a card is none of a figure of zslab/],
      ['number.json', '{"card":7}', /what it has for a card is none of a figure of zslab/],
      [
        'older.json',
        carded({ numbers: undefined, script: undefined }),
        /older than this zslab, or damaged: it does not say, or not as it should, numbers, script;/,
      ],
      ['newer.json', carded({ version: 2 }), /its card is of version 2, and this zslab reads versions up to 1/],
      ['f.csv', '', /expected a figure's file, \.svg, .* but received .*f\.csv/],
    ] as [string, string | Uint8Array, RegExp][])
      await assert.rejects(cardInFile(kept(name, content)), { message: says, name: 'ZslabError' })
    await assert.rejects(cardInFile(join(folder, 'gone.svg')), /gone\.svg cannot be read: ENOENT/)
  })

  it('nothing is called but what makes figures', async () => {
    const place = () => toyPath
    const [first, ...rest] = card.input
    const calls = (call: string, on?: string) => ({ input: [{ ...first, call, ...(on && { on }) }, ...rest] })
    const more = (call: string, on: string) => ({ input: [...card.input, { name: 'x', on, call, given: ['evil'] }] })
    for (const [change, says] of [
      [calls('constructor'), /the card calls "constructor", which this zslab does not have/],
      [calls('figures.constructor'), /the card calls "figures.constructor"/],
      [calls('figures.toString'), /the card calls "figures.toString"/],
      [calls('cacheClear'), /the card calls "cacheClear"/],
      [calls('load', 'run'), /the card calls "load"/],
      [calls('session'), /the card calls "session"/],
      [more('save', 'run'), /the card calls "save"/],
      [more('constructor', 'run'), /the card calls "constructor"/],
      [{ figure: 'Figure' }, /the card calls "figures.Figure"/],
      [{ input: [{ ...first, then: [{ call: 'dispose', given: [] }] }, ...rest] }, /the card calls "dispose"/],
      [{ input: rest }, /the card takes "model" from before it is made: it is damaged/],
      [{ of: [{ $: '__proto__' }] }, /the card takes "__proto__" from before it is made/],
    ] as [object, RegExp][])
      await assert.rejects(
        madeAgain({ ...card, ...change }, zslab, place, () => Promise.resolve(undefined)),
        {
          message: says,
          name: 'ZslabError',
        },
      )
  })
})
