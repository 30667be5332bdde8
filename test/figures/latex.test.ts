/** figure.latex(): a snippet that TeX reads, whatever a summary says. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { frontier, tokenStrip } from '../../src/figures/index.js'
import { texOf } from '../../src/figures/latex.js'
import { leftOut } from '../left-out.js'
import { nasty, runMade } from './made-runs.js'
import { studiedMade } from './synthetic-study.js'

const small = { prompt: 60, budget: 24, recent: 12, residual: 2, steps: 30, layers: 2 }

/** Characters that summaries and tokens have, and any others. */
const words = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...'ab -_$%&#{}~^\\`\'"<>|×−·λαéñŁ‖…“”–—␣鯨\n'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
})

describe('latex', function () {
  this.timeout(120_000)
  const figure = frontier(studiedMade())

  it('is a figure of the width that the file has, over both columns where that is wide', () => {
    assert.match(
      figure.with({ size: 'column' }).latex({ file: 'figures/f.pdf' }),
      /^\\begin\{figure\}\n {2}\\centering\n {2}\\includegraphics\[width=3\.25in\]\{figures\/f\.pdf\}\n {2}\\caption\{.*\}\n {2}\\label\{fig:f\}\n\\end\{figure\}\n$/,
    )
    const wide = figure.latex({ file: 'f.pdf', label: 'fig:knee', caption: '50% of $x_1$' })
    assert.match(
      wide,
      /^\\begin\{figure\*\}\n[^]*width=6\.75in[^]*\\caption\{50\\% of \\\$x\\_1\\\$\}\n {2}\\label\{fig:knee\}\n\\end\{figure\*\}\n$/,
    )
    assert.match(figure.with({ width: '5.5in' }).latex({ file: 'f.png' }), /^\\begin\{figure\}\n[^]*width=5\.5in/)
  })

  it('refuses files and labels that TeX cannot read', () => {
    for (const [options, says] of [
      [{ file: 'f.svg' }, /that ends in \.pdf or \.png for file but received "f\.svg"/],
      [{ file: 'a_%.pdf' }, /for file/],
      [{}, /expected a string for file/],
      [{ file: 'f.pdf', label: 'a}b' }, /for label but received "a}b"/],
      [{ file: 'f.pdf', title: 'x' }, /figure\.latex has no option "title"/],
    ] as [never, RegExp][])
      assert.throws(() => figure.latex(options), says)
  })

  it('is plain ASCII with every brace closed, and nothing of TeX but what was meant', () => {
    fc.assert(
      fc.property(words, (text) => {
        const tex = texOf(text)
        assert.match(tex, /^[\x20-\x7e]*$/)
        // What is left without commands, mathematics and escaped characters is nothing that TeX takes for something else.
        const plain = tex
          .replace(/\$(?:\\[a-zA-Z]+|\^\\circ|\^?[-<>|\d]|\\\|)\$/g, '')
          .replace(/\\(?:textbackslash|ldots|textvisiblespace|[SsoOlLae]|ss|ae|AE)\{\}/g, '')
          .replace(/\\(?:[{}$&#%_]|[\^~`]\{\})/g, '')
          .replace(/\\(?:['"`^~=.]|[uvHrc] )\{(?:\\?[ij]|[a-zA-Z])\}/g, '')
          .replace(/-\{\}/g, '-')
        assert.ok(!/[\\{}$&#%_^]/.test(plain), `${JSON.stringify(text)}: ${tex}`)
      }),
      { numRuns: 2000, seed: 1 },
    )
    assert.equal(texOf('a--b — 3 × 10² λ'), 'a-{}-b --- 3 $\\times$ 10$^2$ $\\lambda$')
    assert.equal(texOf('naïve Erdős, 鯨'), 'na\\"{\\i}ve Erd\\H {o}s, [U+9BE8]')
    // What is no error of TeX's, and another character in its fonts.
    assert.equal(
      texOf('~`<a>|b| {c}_d^e\\ 5% & #1 $x “y” ‘z’…'),
      "\\~{}\\`{}$<$a$>$$|$b$|$ \\{c\\}\\_d\\^{}e\\textbackslash{} 5\\% \\& \\#1 \\$x ``y'' `z'\\ldots{}",
    )
  })

  const hasTex = spawnSync('pdflatex', ['--version']).status === 0
  if (!hasTex) leftOut('LaTeX of figures, set by a real TeX: no pdflatex', 'apt-get install texlive-latex-base')
  const withTex = hasTex ? it : undefined
  withTex?.('is set by a real TeX', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'zslab-'))
    const strip = tokenStrip(nasty(runMade(small)), { layer: 1 }).with({ size: 'column' })
    await figure.save(join(folder, 'f.pdf'))
    copyFileSync(join(folder, 'f.pdf'), join(folder, 'g.pdf'))
    const captions = fc.sample(words, { numRuns: 40, seed: 2 })
    const all = [...captions, [...new Set(captions.join(''))].join(' ')]
    const body = [
      figure.latex({ file: 'f.pdf' }),
      strip.latex({ file: 'g.pdf' }),
      strip.latex({
        file: 'f.pdf',
        label: 'fig:all',
        caption: `every one: ${[...'×·−±≤≥≈≠∞→←‖√²³°–—…‘’“”§␣ßøØæÆłŁαςµΔΩéàâãāăċäåőčç'].join(' ')}`,
      }),
      ...all.map((text) => `${texOf(text)}\n`),
    ]
    writeFileSync(
      join(folder, 'paper.tex'),
      `\\documentclass[twocolumn]{article}\n\\usepackage{graphicx}\n\\begin{document}\n${body.join('\n')}\\end{document}\n`,
    )
    const { status, stdout } = spawnSync('pdflatex', ['-interaction=nonstopmode', '-halt-on-error', 'paper.tex'], {
      cwd: folder,
      encoding: 'utf8',
    })
    assert.equal(status, 0, stdout)
    assert.ok(existsSync(join(folder, 'paper.pdf')))
    const log = readFileSync(join(folder, 'paper.log'), 'latin1')
    assert.ok(
      !/Missing character|undefined|Unicode character/.test(log.replace(/[^\n]*Reference[^\n]*undefined[^\n]*/g, '')),
      log,
    )
    rmSync(folder, { recursive: true })
  })
})
