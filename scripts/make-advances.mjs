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
  MONO: [
    'noto-sans-mono/400Regular/NotoSansMono_400Regular.ttf',
    'Noto Sans Mono, but what is wider than one of its columns',
  ],
}

/** Stretches of code points that follow each other: [first, advances …] in thousandths of an em. */
function stretches(font, takes) {
  const found = []
  for (const code of [...font.characterSet].sort((a, b) => a - b)) {
    const advance = Math.round((font.glyphForCodePoint(code).advanceWidth / font.unitsPerEm) * 1000)
    if (!takes(code, advance)) continue
    const last = found[found.length - 1]
    if (last && last.first + last.advances.length === code) last.advances.push(advance)
    else found.push({ first: code, advances: [advance] })
  }
  return found
}

const hex = (code) => code.toString(16)

/** Broken after a comma or instead of a space. */
const lines = (words) =>
  words
    .join(' ')
    .match(/.{1,138}(?:,|(?= )|$)/g)
    .map((line) => line.trim())
    .join('\n')

const parts = Object.entries(FACES).map(([name, [file, said]]) => {
  const font = openSync(fileURLToPath(new URL(`../node_modules/@expo-google-fonts/${file}`, import.meta.url)))
  const mono = name === 'MONO'
  // Control characters are no words, though a font may map them to nothing.
  const found = stretches(font, (code, advance) => code >= 0x20 && (!mono || advance <= 600))
  const words = found.map(({ first, advances }) =>
    mono ? `${hex(first)}-${hex(first + advances.length - 1)}` : `${hex(first)}:${advances.join()}`,
  )
  const what = mono
    ? 'stretches of code points (hexadecimal) with a glyph'
    : 'stretches of code points: the first (hexadecimal), then advances, thousandths of an em'
  return `/** ${said}: ${what}. */\nexport const ${name} = \`\n${lines(words)}\n\`\n`
})

writeFileSync(
  fileURLToPath(new URL('../src/figures/fonts/advances.ts', import.meta.url)),
  `/** What the fonts in files of figures have, and how wide it is. Written by scripts/make-advances.mjs from the packages in package.json. */\n\n${parts.join('\n')}`,
)
