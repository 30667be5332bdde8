/** Files of figures as others read them: PDFs through PDF.js, PNGs by their chunks, pages in a browser that is offline. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { crc32 } from 'node:zlib'
import type { Browser } from 'playwright-core'
import { divergence, type Figure } from '../../src/figures/index.js'
import { drawSvg } from '../../src/figures/export/svg.js'
import { browserFor } from '../left-out.js'
import { openBrowser } from '../lab/lab.js'
import { wordsApart } from './apart.js'
import { CASES } from './cases.js'
import { checkFonts, readPdf } from './files.js'
import { full, inTurn } from '../scale.js'
import { shadowMade } from './synthetic.js'
import { all, parseXml } from './xml.js'

const WIDTHS = ['3.25in', '5.5in', '6.75in']
/** Small ones of every kind of mark; at full scale every figure. */
const SAMPLE = [
  'token strip, small',
  'merge lineage, nasty words',
  'effects',
  'judge',
  'head map, one head',
  'roofline',
]

const inches = (width: string) => parseFloat(width)

/** Characters that can be seen, in any order: what is read may be cut into other pieces than it was written in. */
const letters = (texts: readonly { text: string }[]) =>
  texts
    .flatMap(({ text }) => [...text.normalize('NFKC').replace(/[\s\p{Cf}]/gu, '')])
    .sort()
    .join('')

async function checkPdf(figure: Figure, width: string): Promise<void> {
  const bytes = await figure.pdf()
  const drawn = drawSvg(figure.spelt, figure.style)
  const read = await readPdf(bytes)
  const { points, title, texts } = read
  assert.ok(Math.abs(points.width - inches(width) * 72) < 0.01, `${points.width} points for ${width}`)
  assert.ok(Math.abs(points.height - drawn.height * 0.75) < 0.01)
  assert.equal(title, figure.plot.title)
  checkFonts(read)
  assert.equal(letters(texts), letters(drawn.texts))
  wordsApart(drawn, width)
  assert.deepEqual(await figure.pdf(), bytes, 'the same bytes every time')
}

function chunksOf(png: Uint8Array): Map<string, Buffer[]> {
  const bytes = Buffer.from(png)
  assert.equal(bytes.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n')
  const found = new Map<string, Buffer[]>()
  for (let at = 8; at < bytes.length;) {
    const length = bytes.readUInt32BE(at)
    const type = bytes.subarray(at + 4, at + 8).toString('latin1')
    assert.equal(bytes.readUInt32BE(at + 8 + length), crc32(bytes.subarray(at + 4, at + 8 + length)), type)
    found.set(type, [...(found.get(type) ?? []), bytes.subarray(at + 8, at + 8 + length)])
    at += 12 + length
  }
  return found
}

async function checkPng(figure: Figure, width: string): Promise<void> {
  const bytes = await figure.png()
  const chunks = chunksOf(bytes)
  const [head] = chunks.get('IHDR')!
  const [resolution] = chunks.get('pHYs')!
  const [across, unit] = [resolution.readUInt32BE(0), resolution[8]]
  assert.equal(unit, 1)
  assert.equal(resolution.readUInt32BE(4), across)
  assert.ok(across * 0.0254 >= 300 && across * 0.0254 < 301, `${across} dots to the metre`)
  const wide = head.readUInt32BE(0)
  assert.ok(Math.abs(wide / (across * 0.0254) - inches(width)) < 0.01, `${wide} dots for ${width}`)
  assert.ok(wide >= inches(width) * 300)
  assert.ok(chunks.get('iTXt')!.some((text) => text.toString().endsWith(`\0${figure.plot.title}`)))
  assert.deepEqual(await figure.png(), bytes, 'the same bytes every time')
}

describe('files of figures', function () {
  this.timeout(1_800_000)
  const names = full ? Object.keys(CASES) : SAMPLE
  names.forEach((name, i) => {
    const width = WIDTHS[i % WIDTHS.length]
    describe(name, () => {
      let figure: Figure
      before(() => (figure = CASES[name]().with({ width })))
      it('pdf: the words of the svg, in embedded fonts of 7 points and more', () => checkPdf(figure, width))
      it('png: 300 dots to the inch at its width', () => checkPng(figure, width))
    })
  })

  const browserPath = browserFor('figures saved as pages (test/figures/export.test.ts)')
  const inBrowser = browserPath === undefined ? undefined : it
  inBrowser?.('pages ask nobody for anything', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zslab-pages-'))
    let browser: Browser | undefined
    try {
      browser = await openBrowser(browserPath!)
      const context = await browser.newContext({ offline: true })
      const page = await context.newPage()
      const strangers: string[] = []
      page.on('request', (request) => request.url().startsWith('file:') || strangers.push(request.url()))
      page.on('pageerror', (error) => strangers.push(error.message))
      for (const name of names.filter((_, i) => inTurn(i, 3))) {
        const figure = CASES[name]()
        const file = join(folder, 'figure.html')
        await figure.save(file)
        await page.goto(pathToFileURL(file).href)
        assert.equal(await page.title(), figure.plot.title)
        const box = await page.locator('svg').first().boundingBox()
        assert.ok(Math.abs(box!.width - figure.style.width) < 1, `${name}: ${box!.width} pixels`)
      }
      assert.deepEqual(strangers, [])
    } finally {
      await browser?.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('draws fields of more than 20,000 marks as images of 600 dots to the inch, and words as words', async () => {
    assert.equal(all(parseXml(CASES.divergence().svg), 'image').length, 0)
    const many = divergence([shadowMade(0.1, 10_001), shadowMade(0.2, 10_001)], { width: '3.25in' })
    const images = all(parseXml(many.svg), 'image')
    assert.equal(images.length, 2)
    for (const { attributes } of images) {
      const [head] = chunksOf(Buffer.from(attributes.href.replace('data:image/png;base64,', ''), 'base64')).get('IHDR')!
      for (const [dots, pixels] of [
        [head.readUInt32BE(0), Number(attributes.width)],
        [head.readUInt32BE(4), Number(attributes.height)],
      ])
        assert.ok((dots / pixels) * 96 >= 599.999, `${(dots / pixels) * 96} dots to the inch`)
    }
    const bytes = await many.pdf()
    assert.ok(bytes.length < 3e6, `${bytes.length} bytes`)
    const { texts, images: shown } = await readPdf(bytes)
    assert.equal(shown, 2)
    assert.equal(letters(texts), letters(drawSvg(many.spelt, many.style).texts))
  })

  it('spells out what the fonts lack, and says so', async () => {
    const figure = CASES['merge lineage, nasty words']()
    assert.match(figure.summary, / The fonts of its png and pdf lack 3 characters, drawn there as .*□U\+9BE8.*\.$/)
    assert.match(figure.svg, /鯨/)
    assert.match(letters((await readPdf(await figure.pdf())).texts), /□/)
  })
})
