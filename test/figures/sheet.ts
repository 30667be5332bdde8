/**
 * `npm run figures`: one of each figure of the project in every format (→ out/figures), as wide as a column, a text and a page where its words are
 * set, and all of them on one sheet to be looked at, in colour and in grey.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FILE_TYPES } from '../../src/figures/export/files.js'
import { raster } from '../../src/figures/export/raster.js'
import { drawSvg } from '../../src/figures/export/svg.js'
import type { Figure } from '../../src/figures/index.js'
import { CASES, LOOKED_AT } from './cases.js'

const FOLDER = fileURLToPath(new URL('../../out/figures', import.meta.url))
const SIZES = ['column', 'text', 'wide'] as const
/** Pixels, 96 to the inch. */
const SHEET = { columns: 6, column: 312, gap: 18, name: 22 }
const DOTS_PER_PIXEL = 1.5

interface Tile {
  name: string
  png: Buffer
  height: number
}

async function write(name: string, figure: Figure): Promise<void> {
  for (const size of SIZES)
    for (const type of FILE_TYPES) {
      // Numbers are the same in any size.
      const file = type === '.csv' ? name : `${name}-${size}`
      if (type !== '.csv' || size === 'column') await figure.save(join(FOLDER, `${file}${type}`), { size })
    }
}

function tile(name: string, figure: Figure): Tile {
  const column = figure.with({ size: 'column' })
  const { svg, height } = drawSvg(column.spelt, column.style)
  return { name, png: raster(svg, SHEET.column * DOTS_PER_PIXEL), height }
}

/** Each tile below the shortest column so far. */
function sheet(tiles: readonly Tile[]): string {
  const { columns, column, gap, name: line } = SHEET
  const heights = Array.from({ length: columns }, () => gap)
  const placed = tiles.map(({ name, png, height }) => {
    const at = heights.indexOf(Math.min(...heights))
    const [x, y] = [gap + at * (column + gap), heights[at]]
    heights[at] += line + height + gap
    return (
      `<text x="${x}" y="${y + line * 0.7}" font-size="13" fill="#333333">${name}</text>` +
      `<image x="${x}" y="${y + line}" width="${column}" height="${height}" href="data:image/png;base64,${png.toString('base64')}"/>`
    )
  })
  const [width, height] = [gap + columns * (column + gap), Math.max(...heights)]
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Inter">` +
    `<filter id="grey"><feColorMatrix type="saturate" values="0"/></filter>` +
    `<rect width="${width}" height="${height}" fill="#c8c8cc"/><g>${placed.join('')}</g></svg>`
  )
}

mkdirSync(FOLDER, { recursive: true })
const tiles: Tile[] = []
for (const name of LOOKED_AT) {
  const figure = CASES[name]()
  const file = name.replaceAll(/[^a-z0-9]+/g, '-')
  await write(file, figure)
  tiles.push(tile(name, figure))
  console.log(file)
}
const colour = sheet(tiles)
const dots = (SHEET.gap + SHEET.columns * (SHEET.column + SHEET.gap)) * DOTS_PER_PIXEL
writeFileSync(join(FOLDER, 'contact-sheet.png'), raster(colour, dots))
writeFileSync(join(FOLDER, 'contact-sheet-grey.png'), raster(colour.replace('<g>', '<g filter="url(#grey)">'), dots))
console.log(`${LOOKED_AT.length} figures in ${FOLDER}`)
