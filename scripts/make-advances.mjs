/**
 * How wide each character of the fonts in files of figures is (→ src/figures/fonts/advances.ts), so that figures are laid out without reading
 * a font. Run it when their packages change: node scripts/make-advances.mjs
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openSync } from 'fontkit'

const FACES = {
  SANS: ['inter/400Regular/Inter_400Regular.ttf', 'Inter Regular'],
  BOLD: ['inter/700Bold/Inter_700Bold.ttf', 'Inter Bold'],
  MONO: ['noto-sans-mono/400Regular/NotoSansMono_400Regular.ttf', 'Noto Sans Mono'],
}

/** Code points that follow each other, and their advances. */
function stretchesOf(font) {
  const stretches = []
  // Control characters are no words, though a font may map them to nothing.
  const codes = [...font.characterSet].filter((code) => code >= 0x20).sort((a, b) => a - b)
  for (const code of codes) {
    const advance = Math.round((font.glyphForCodePoint(code).advanceWidth / font.unitsPerEm) * 1000)
    const last = stretches[stretches.length - 1]
    if (last && last.first + last.advances.length === code) last.advances.push(advance)
    else stretches.push({ first: code, advances: [advance] })
  }
  return stretches
}

/** '600*3' for three times 600. */
function counted(advances) {
  const runs = []
  for (const advance of advances) {
    const last = runs[runs.length - 1]
    if (last?.advance === advance) last.times++
    else runs.push({ advance, times: 1 })
  }
  return runs.map(({ advance, times }) => (times > 1 ? `${advance}*${times}` : advance)).join()
}

/** Broken after a comma or instead of a space. */
const lines = (text) =>
  text
    .match(/.{1,138}(?:,|(?= )|$)/g)
    .map((line) => line.trim())
    .join('\n')

const tables = Object.entries(FACES).map(([name, [file, said]]) => {
  const font = openSync(fileURLToPath(new URL(`../node_modules/@expo-google-fonts/${file}`, import.meta.url)))
  const words = stretchesOf(font).map(({ first, advances }) => `${first.toString(16)}:${counted(advances)}`)
  return `/** ${said}. */\nexport const ${name} = \`\n${lines(words.join(' '))}\n\`\n`
})

const HEAD = `/**
 * What the fonts in files of figures have, and how wide it is: stretches of code points, each the first (hexadecimal) and then advances in
 * thousandths of an em, '600*3' for three alike. Written by scripts/make-advances.mjs from the packages of the fonts.
 */
`
const target = fileURLToPath(new URL('../src/figures/fonts/advances.ts', import.meta.url))
writeFileSync(target, [HEAD, ...tables].join('\n'))
