/** The numbers that figures say are the numbers in the data. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { excerpt, lineStarts } from '../../src/figures/excerpt.js'
import { byFate, candidateFrom, fatesAtEnd, livesOf, stepOf } from '../../src/figures/fates.js'
import type { RunData } from '../../src/figures/data.js'
import { divergence, evictionMap, memory, tokenStrip } from '../../src/figures/index.js'
import { counted, percent, plainNumber, place, roundStep, shortNumber, ticksOf } from '../../src/figures/scale.js'
import { staysOf } from '../../src/figures/slot-map.js'
import { colorOf, inkOn } from '../../src/figures/style.js'
import { shortened, textWidth, wrapped } from '../../src/figures/text.js'
import { anyRun, runMade } from './made-runs.js'
import { full } from '../scale.js'
import { layoutsMade, shadowMade } from './synthetic.js'

const runs = { numRuns: full ? 5000 : 300, seed: 11 }
const count = <T>(values: ArrayLike<T>, wanted: T) => Array.from(values).filter((value) => value === wanted).length
/** The whole numbers of a sentence, in order. */
const wholes = (text: string) => (text.match(/\d[\d,]*/g) ?? []).map((word) => Number(word.replace(/,/g, '')))

/** Counted from the slots themselves: alone in one, sharing one, in none. */
function counts(data: RunData, layer: number, kvHead: number) {
  const sizes = data.origins[layer].kvHeads[kvHead].map((slot) => slot.length)
  const kept = count(sizes, 1)
  const merged = sizes.reduce((sum, size) => sum + (size > 1 ? size : 0), 0)
  return { kept, merged, dropped: data.tokens.length - kept - merged }
}

/** Of WCAG 2: what is left of colours in grey. */
const luminance = (color: string) => {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const share = parseInt(color.slice(at, at + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
const contrast = (a: string, b: string) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

describe('figures: numbers', function () {
  this.timeout(600_000)

  it('the eviction map counts what the events say', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        const { columns, summary } = evictionMap(data, { layer: 0, kvHead: made.kvHeads - 1 })
        const fates = columns.fate as string[]
        const total = made.prompt + made.steps
        assert.equal(fates.length, total)
        const kept = count(fates, 'kept')
        assert.ok(summary.includes(`${plainNumber(kept)} of ${counted(total, 'token')} keep`), summary)
        const [merged, dropped] = [count(fates, 'merged'), count(fates, 'dropped')]
        assert.deepEqual({ kept, merged, dropped }, counts(data, 0, made.kvHeads - 1))
        if (merged) assert.match(summary, new RegExp(`${merged} tokens? shares? `))
        if (dropped) assert.match(summary, new RegExp(`${dropped} (was|were) dropped`))
        const left = columns.left as (number | null)[]
        const gone = left.filter((step): step is number => step !== null)
        if (gone.length) {
          const later = gone.filter((step) => step > 0).length
          assert.ok(
            summary.includes(`${gone.length - later} left when the prompt was read, ${later} while decoding`),
            summary,
          )
          assert.ok(later <= made.steps + made.residual)
        }
        left.forEach((step, position) => {
          assert.equal(step === null, fates[position] === 'kept')
          if (step !== null) assert.ok(step >= (columns.entered as number[])[position] && step <= made.steps)
          // The newest are protected: a token leaves only once it is a candidate.
          if (step !== null && step > 0)
            assert.ok(step >= candidateFrom(data, position) - 1, `${position} left at ${step}`)
        })
      }),
      runs,
    )
  })

  it('lives end as the origins say', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        const lives = livesOf(data, data.events!, 0, 0)
        assert.deepEqual(lives.fate, fatesAtEnd(data, 0, 0).fate)
        assert.deepEqual(
          Array.from(lives.entered),
          data.tokens.map((token) => stepOf(data, token.position)),
        )
        const counts = byFate(lives.fate)
        assert.equal(counts.kept + counts.merged + counts.dropped, data.tokens.length)
      }),
      runs,
    )
  })

  it('every slot is held at every step by whom the cache had in it', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        const stays = staysOf(data, 0, 0)
        layoutsMade(made).forEach((slots, step) => {
          const held = stays.filter((stay) => stay.from <= step && step < stay.to)
          const words = held.map((stay) => `${stay.slot}: ${stay.merged ? 'merged' : stay.position}`)
          assert.deepEqual(
            words,
            slots.map((members, slot) => `${slot}: ${members.length > 1 ? 'merged' : members[0]}`),
            `step ${step}`,
          )
        })
      }),
      runs,
    )
  })

  it('the token strip counts heads and fates', () => {
    fc.assert(
      fc.property(anyRun, (made) => {
        const data = runMade(made)
        const heads = made.layers * made.kvHeads
        const { columns, summary } = tokenStrip(data)
        const [kept, merged, dropped] = ['keptHeads', 'mergedHeads', 'droppedHeads'].map(
          (name) => columns[name] as number[],
        )
        kept.forEach((value, i) => assert.equal(value + merged[i] + dropped[i], heads))
        const total = kept.length
        const share = kept.reduce((a, b) => a + b, 0) / (heads * total)
        assert.ok(summary.startsWith(`A kv head keeps ${percent(share)} of ${counted(total, 'token')}`), summary)
        assert.ok(summary.includes(`${count(kept, heads)} are kept in all ${heads} kv heads`), summary)
        assert.ok(summary.includes(`and ${count(kept, 0)} in none`), summary)
        const one = tokenStrip(data, { layer: made.layers - 1 })
        const fates = one.columns.fate as string[]
        assert.equal(count(fates, 'kept'), counts(data, made.layers - 1, 0).kept)
        let everywhere = 0
        for (let layer = 0; layer < made.layers; layer++)
          for (let kvHead = 0; kvHead < made.kvHeads; kvHead++) everywhere += counts(data, layer, kvHead).kept
        assert.equal(
          kept.reduce((a, b) => a + b, 0),
          everywhere,
        )
        assert.ok(one.summary.includes(`keeps ${count(fates, 'kept')} of ${counted(total, 'token')}`), one.summary)
        if (count(fates, 'merged'))
          assert.ok(one.summary.includes(`; ${counted(count(fates, 'merged'), 'token')} went into`), one.summary)
      }),
      runs,
    )
  })

  it('divergence says means, flips and the largest', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 1e6 }), (tokens, seed) => {
        const shadow = shadowMade(0.1, tokens, seed)
        const { columns, summary } = divergence(shadow)
        const kl = columns.kl as number[]
        const mean = kl.reduce((a, b) => a + b, 0) / tokens
        const said = /full cache ([\d.e−]+) nats/.exec(summary)![1].replace('−', '-')
        assert.ok(Math.abs(Number(said) - mean) <= 0.051 * mean + 5e-6, `${said} for ${mean}`)
        const flips = count(columns.flip as boolean[], true)
        assert.ok(summary.includes(`changes at ${flips} of ${counted(tokens, 'token')}`), summary)
        assert.ok(summary.includes(`largest divergence is ${shortNumber(Math.max(...kl))} nats`), summary)
        const at = kl.indexOf(Math.max(...kl)) + 1
        assert.ok(summary.includes(`generated token ${at}`), summary)
      }),
      runs,
    )
  })

  it('memory adds up', () => {
    fc.assert(
      fc.property(anyRun, anyRun, (one, two) => {
        const data = [runMade(one), runMade(two)]
        const { columns, summary } = memory(data, { labels: ['one', 'two'] })
        for (const [i, label] of ['one', 'two'].entries()) {
          const bytes = (columns.bytes as number[]).filter((_, row) => (columns.run as string[])[row] === label)
          const total = bytes.reduce((a, b) => a + b, 0)
          assert.equal(total, data[i].bytes.total)
          assert.ok(summary.includes(`${shortNumber(total / 1048576)} MiB (${label})`), summary)
          assert.ok(summary.includes(`${label}: ${percent(total / data[i].bytes.fullCache)}`), summary)
        }
      }),
      runs,
    )
  })

  it('draws every byte of every region', () => {
    const data = runMade()
    const figure = memory(data)
    const bars = figure.plotly.data.filter((trace) => trace.type === 'bar' && trace.name !== 'full cache')
    const [lengths, starts] = ['x', 'base'].map((name) => bars.flatMap((trace) => trace[name] as number[]))
    const drawn = lengths.reduce((a, b) => a + b, 0)
    starts.forEach((start, i) => {
      const end = i ? starts[i - 1] + lengths[i - 1] : 0
      assert.ok(
        Math.abs(start - end) < 1e-5,
        `${String(bars[i].name)} starts at ${start}, the one before ends at ${end}`,
      )
    })
    assert.ok(Math.abs(drawn * 1048576 - data.bytes.total) < 16, `${drawn}`)
  })

  it('excerpts cover the text in order and say how much they leave out', () => {
    const texts = fc.tuple(
      fc.array(fc.integer({ min: 1, max: 14 }), { minLength: 1, maxLength: 400 }),
      fc.integer({ min: 14, max: 80 }),
      fc.integer({ min: 5, max: 20 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    )
    fc.assert(
      fc.property(texts, ([widths, columns, lines, stream]) => {
        const weights = widths.map(() => stream.next().value as number)
        const parts = excerpt(widths, weights, { from: 0, to: widths.length }, columns, lines)
        assert.equal(parts[0].from, 0)
        assert.equal(parts[parts.length - 1].to, widths.length)
        parts.forEach((part, i) => {
          assert.ok(part.to > part.from)
          if (i) assert.deepEqual([part.from, part.shown], [parts[i - 1].to, !parts[i - 1].shown])
        })
        const used = parts.reduce(
          (n, { from, to, shown }) => n + (shown ? lineStarts(widths, from, to, columns).length : 1),
          0,
        )
        assert.ok(used <= Math.max(5, lines), `${used} lines of ${lines}`)
        if (lineStarts(widths, 0, widths.length, columns).length <= lines) assert.equal(parts.length, 1)
      }),
      runs,
    )
  })

  it('elided strips say how many tokens they spell out', () => {
    const figure = tokenStrip(runMade())
    const [spelt, all] = wholes(figure.plot.notes[0])
    const tokens = figure.plotly.data.find((trace) => trace.name === 'tokens')!
    assert.equal((tokens.x as number[]).length, spelt)
    assert.equal(all, 3200)
    const gaps = figure.plot.panels[1].marks.flatMap((mark) => (mark.kind === 'labels' && !mark.mono ? mark.text : []))
    assert.equal(
      gaps.reduce((sum, gap) => sum + wholes(gap)[0], 0),
      all - spelt,
    )
  })

  it('words numbers as people read them', () => {
    assert.deepEqual(
      [0, 12345.6, -3.5, 0.004].map((n) => plainNumber(n, 1)),
      ['0', '12,345.6', '−3.5', '0'],
    )
    assert.deepEqual([0, 0.0000321, 0.01234, 1.5, 12.34, 99.96, 1234.5].map(shortNumber), [
      '0',
      '3.2e−5',
      '0.0123',
      '1.5',
      '12.3',
      '100',
      '1,235',
    ])
    assert.deepEqual([0, 0.0004, 0.05, 0.126, 0.9999, 1].map(percent), ['0%', '<0.1%', '5%', '13%', '>99.9%', '100%'])
    assert.deepEqual([counted(1, 'slot'), counted(1200, 'slot')], ['1 slot', '1,200 slots'])
  })

  it('finds round ticks inside the range', () => {
    const ends = fc.tuple(
      fc.double({ min: -1e4, max: 1e4, noNaN: true }),
      fc.double({ min: 1e-2, max: 1e6, noNaN: true }),
      fc.integer({ min: 1, max: 12 }),
    )
    fc.assert(
      fc.property(ends, ([low, span, most]) => {
        const axis = { range: [low, low + span] as [number, number] }
        const ticks = ticksOf(axis, most)
        assert.ok(ticks.length <= most + 2, `${ticks.length} of ${most}`)
        assert.ok(ticks.length >= 2 || most < 3, 'one alone says nothing of distances')
        for (const tick of ticks) assert.ok(place(axis, tick.at) > -1e-6 && place(axis, tick.at) < 1 + 1e-6)
        assert.equal(new Set(ticks.map((tick) => tick.text)).size, ticks.length)
      }),
      runs,
    )
    assert.deepEqual([0.03, 3, 11, 0].map(roundStep), [0.05, 5, 20, 0])
    assert.deepEqual(
      ticksOf({ range: [1e-4, 1], scale: 'log' }, 9).map((tick) => tick.text),
      ['1e−4', '0.001', '0.01', '0.1', '1'],
    )
    assert.deepEqual(
      ticksOf({ range: [-0.29, 0.36] }, 3).map((tick) => tick.text),
      ['−0.2', '0', '0.2'],
    )
    assert.deepEqual(
      ticksOf({ range: [0.2, 2.8], whole: true }, 9).map((tick) => tick.text),
      ['1', '2'],
    )
  })

  it('cuts and wraps words to their room', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.integer({ min: 40, max: 600 }),
        (words, width) => {
          const style = { size: 12 }
          for (const line of wrapped(words, width, style)) assert.ok(textWidth(line, style) <= width)
          assert.ok(textWidth(shortened(words, width, style), style) <= width)
        },
      ),
      runs,
    )
  })

  it('keeps text readable on every colour that it stands on', () => {
    for (const theme of ['light', 'dark'] as const) {
      for (const role of ['ink', 'muted'] as const)
        assert.ok(contrast(colorOf(role, theme), colorOf('paper', theme)) >= 4.5, `${role} ${theme}`)
      const fills = [
        'held',
        'recent',
        'tint0',
        'tint1',
        'tint2',
        'tint3',
        'tint4',
        ...Array.from({ length: 21 }, (_, i) => `shade:${i / 20}`),
      ]
      for (const fill of fills) {
        const color = colorOf(fill as 'held', theme)
        assert.ok(contrast(color, inkOn(color)) >= 4.4, `${fill} ${theme}: ${contrast(color, inkOn(color))}`)
      }
    }
  })

  it('keeps slots of an eviction map apart where it is printed in grey', () => {
    const tints = ['tint0', 'tint1', 'tint2', 'tint3'] as const
    const all = tints.map((tint) => colorOf(tint, 'light'))
    all.forEach((a, i) => {
      for (const b of all.slice(i + 1)) assert.ok(contrast(a, b) >= 1.1, `${a} on ${b}: ${contrast(a, b)}`)
    })
  })

  it('keeps marks that lie on each other apart in grey', () => {
    const pairs = [
      ['residual', 'paper', 2],
      ['ink', 'paper', 7],
      ['ink', 'spare', 2.5],
      ['recent', 'paper', 3],
      ['held', 'recent', 2.5],
      ['muted', 'paper', 4.5],
      // Parts of a bar of failures.
      ['shade:0.2', 'residual', 1.5],
      ['residual', 'dropped', 1.5],
    ] as const
    for (const theme of ['light', 'dark'] as const)
      for (const [a, b, least] of pairs) {
        const apart = contrast(colorOf(a, theme), colorOf(b, theme))
        assert.ok(apart >= least, `${a} on ${b}, ${theme}: ${apart}`)
      }
  })
})
