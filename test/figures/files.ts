/** PDFs of figures as others read them: through PDF.js. */
import assert from 'node:assert/strict'
import { getDocumentProxy, getResolvedPDFJS } from 'unpdf'

const LEAST_POINTS = 7

export interface Read {
  points: { width: number; height: number }
  title: unknown
  fonts: { name: string; missingFile: boolean }[]
  texts: { text: string; size: number }[]
  images: number
}

export async function readPdf(bytes: Uint8Array): Promise<Read> {
  const { OPS } = await getResolvedPDFJS()
  const document = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 })
  assert.equal(document.numPages, 1)
  const page = await document.getPage(1)
  const [, , width, height] = page.view
  const { fnArray, argsArray } = (await page.getOperatorList()) as { fnArray: number[]; argsArray: string[][] }
  const used = fnArray.flatMap((code, i) => (code === OPS.setFont ? [argsArray[i][0]] : []))
  const fonts = [...new Set(used)].map((id) => page.commonObjs.get(id) as Read['fonts'][number])
  const { items } = (await page.getTextContent()) as { items: { str: string; transform: number[] }[] }
  const texts = items.flatMap(({ str, transform: [, , c, d] }) =>
    str.trim() ? [{ text: str, size: Math.hypot(c, d) }] : [],
  )
  const { info } = await document.getMetadata()
  const images = fnArray.filter((code) => code === OPS.paintImageXObject).length
  return { points: { width, height }, title: (info as { Title?: unknown }).Title, fonts, texts, images }
}

/** That every letter can be read at its size, in a font of ours that the file brings. */
export function checkFonts({ fonts, texts }: Read): void {
  assert.ok(fonts.length > 0)
  for (const { name, missingFile } of fonts) {
    assert.equal(missingFile, false, `${name} is not embedded`)
    assert.match(name, /^[A-Z]{6}\+(Inter-Regular|Inter-Bold|NotoSansMono-Regular)$/)
  }
  for (const { text, size } of texts) assert.ok(size >= LEAST_POINTS - 0.01, `“${text}” in ${size} points`)
}
