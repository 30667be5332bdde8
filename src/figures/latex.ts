/** A figure in a paper: LaTeX that includes its file, with a caption draft. Plain ASCII, so that it stands in any source. */
import { basename, extname } from 'node:path'
import { invalid, options as checked, text } from '../expect.js'

export interface LatexOptions {
  /** The file that is included, as the paper finds it, such as 'figures/frontier.pdf'. */
  file: string
  /** Default: 'fig:' and the file's name. */
  label?: string
  /** Default: the figure's summary, as a draft; with what its notes say where these are not in the picture. */
  caption?: string
}

/** From so many inches on a figure goes over both columns of a page. */
const BOTH_COLUMNS = 6

/** `draft`: of the caption; `width`: inches. Errors: 'invalid' for a file or label that TeX could not read. */
export function latexOf(draft: string, width: number, given: LatexOptions): string {
  checked('figure.latex', given, ['file', 'label', 'caption'])
  const file = text('file', given?.file)
  if (!/^[\w./@:+ -]+$/.test(file) || !/\.(pdf|png)$/i.test(file))
    throw invalid(
      'file',
      'a name of letters, digits and ./_- that ends in .pdf or .png',
      file,
      'TeX reads no others safely',
    )
  const label = given.label === undefined ? `fig:${basename(file, extname(file))}` : text('label', given.label)
  if (!/^[\w.:@+/ -]+$/.test(label)) throw invalid('label', 'letters, digits and .:_-', label)
  const caption = given.caption === undefined ? draft : text('caption', given.caption)
  const environment = width >= BOTH_COLUMNS ? 'figure*' : 'figure'
  return [
    `\\begin{${environment}}`,
    '  \\centering',
    `  \\includegraphics[width=${Number(width.toFixed(3))}in]{${file}}`,
    `  \\caption{${texOf(caption)}}`,
    `  \\label{${label}}`,
    `\\end{${environment}}`,
    '',
  ].join('\n')
}

/** Characters that TeX reads as something else, or has no letter for. */
const COMMANDS: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '{': '\\{',
  '}': '\\}',
  $: '\\$',
  '&': '\\&',
  '#': '\\#',
  '%': '\\%',
  _: '\\_',
  '^': '\\^{}',
  '~': '\\~{}',
  '`': '\\`{}',
  '<': '$<$',
  '>': '$>$',
  '|': '$|$',
  '×': '$\\times$',
  '·': '$\\cdot$',
  '−': '$-$',
  '±': '$\\pm$',
  '≤': '$\\le$',
  '≥': '$\\ge$',
  '≈': '$\\approx$',
  '≠': '$\\ne$',
  '∞': '$\\infty$',
  '→': '$\\to$',
  '←': '$\\leftarrow$',
  '‖': '$\\|$',
  '√': '$\\surd$',
  '²': '$^2$',
  '³': '$^3$',
  '°': '$^\\circ$',
  '–': '--',
  '—': '---',
  '…': '\\ldots{}',
  '‘': '`',
  '’': "'",
  '“': '``',
  '”': "''",
  '§': '\\S{}',
  '␣': '\\textvisiblespace{}',
  '\u00a0': '~',
  ß: '\\ss{}',
  ø: '\\o{}',
  Ø: '\\O{}',
  æ: '\\ae{}',
  Æ: '\\AE{}',
  ł: '\\l{}',
  Ł: '\\L{}',
}

/** The letters that mathematics has a command for, by their names. */
const GREEK: Readonly<Record<string, string>> = Object.fromEntries(
  (
    'α alpha β beta γ gamma δ delta ε varepsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu µ mu ν nu ξ xi π pi ρ rho ' +
    'σ sigma ς varsigma τ tau υ upsilon φ varphi χ chi ψ psi ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma Φ Phi Ψ Psi Ω Omega'
  )
    .split(' ')
    .flatMap((letter, i, all) => (i % 2 ? [] : [[letter, `$\\${all[i + 1]}$`]])),
)

/** By the accent that follows a letter in its decomposition. */
const ACCENTS: Readonly<Record<string, string>> = {
  '\u0300': '`',
  '\u0301': "'",
  '\u0302': '^',
  '\u0303': '~',
  '\u0304': '=',
  '\u0306': 'u ',
  '\u0307': '.',
  '\u0308': '"',
  '\u030a': 'r ',
  '\u030b': 'H ',
  '\u030c': 'v ',
  '\u0327': 'c ',
}

/** Between hyphens, which would become a dash together; no text of ours has it. */
const APART = '\u0000'

/** Words as TeX source that gives them; characters of other scripts by their codes. */
export const texOf = (words: string): string =>
  Array.from(
    words
      .replace(/[\s\0]+/g, ' ')
      .trim()
      .replace(/-(?=-)/g, `-${APART}`),
    characterOf,
  ).join('')

function characterOf(character: string): string {
  if (character === APART) return '{}'
  const command = COMMANDS[character] ?? GREEK[character]
  if (command !== undefined) return command
  if (/^[\x20-\x7e]$/.test(character)) return character
  const [letter, accent, ...more] = character.normalize('NFD')
  const mark = more.length ? undefined : ACCENTS[accent]
  if (mark !== undefined && /^[a-z]$/i.test(letter))
    return `\\${mark}{${/^[ij]$/.test(letter) ? `\\${letter}` : letter}}`
  return `[U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`
}
