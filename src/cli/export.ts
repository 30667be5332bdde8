/** `npx zslab export`: a notebook with its outputs as a page that needs no network, as PDF, or as LaTeX. */
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { shown, ZslabError } from '../errors.js'
import { checkPlace, replaceFile } from '../trace/files/replace.js'
import { browserForPdf, printed } from './browser.js'
import { interruptSignal, note, print, UsageError } from './common.js'
import { prepared } from './jupyter.js'
import { checkFolder, writeLatex } from './latex-folder.js'
import { latexOf, nameOf, pageOf } from './notebook-exporter.js'
import { notebookAt, type Cell, type Notebook } from './notebook-file.js'

interface Work {
  notebook: Notebook
  /** Its path. */
  source: string
  /** Path of what is written. */
  target: string
  signal: AbortSignal
}

interface Format {
  /** What follows the notebook's name. */
  ending: string
  /** What scripts/jupyter.mjs must bring beside nbconvert. */
  needs: '--latex'[]
  /** Throws where it could not be written. */
  check: (target: string) => Promise<void>
  write: (work: Work) => Promise<void>
}

const FORMATS: Record<string, Format> = {
  html: {
    ending: '.html',
    needs: [],
    check: (target) => checkPlace(target, 'the page'),
    write: async ({ target, ...work }) => replaceFile(target, 'the page', [await page(work)]),
  },
  pdf: {
    ending: '.pdf',
    needs: [],
    check: async (target) => {
      await checkPlace(target, 'the pdf')
      browserForPdf()
    },
    write: async ({ target, ...work }) => {
      const pdf = await printed(browserForPdf(), await page(work), work.signal)
      await replaceFile(target, 'the pdf', [pdf])
    },
  },
  latex: { ending: '-latex', needs: ['--latex'], check: checkFolder, write: latex },
}

export function exportCommand(): Command {
  return new Command('export')
    .description(
      'a notebook with its outputs as a page that needs no network, as PDF (by Chromium), or as a folder of LaTeX and pictures',
    )
    .argument('<notebook>', 'an .ipynb file that was run')
    .addOption(new Option('--to <format>', 'what it becomes').choices(Object.keys(FORMATS)).makeOptionMandatory())
    .option('--output <path>', 'where it goes, for latex a folder (default: beside the notebook)')
    .action(async (given: string, { to, output }: { to: string; output?: string }) => {
      const { ending, needs, check, write } = FORMATS[to]
      const source = resolve(given)
      const notebook = notebookAt(source)
      checkRun(notebook, given)
      const target = resolve(output ?? join(dirname(source), nameOf(source) + ending))
      if (existsSync(target) && realpathSync(target) === realpathSync(source))
        throw new UsageError(`--output ${shown(output)} is the notebook itself: choose another file`)
      await check(target)
      if (!(await prepared(...needs))) return
      const { signal, done } = interruptSignal()
      try {
        await write({ notebook, source, target, signal })
      } finally {
        done()
      }
      print(target)
    })
}

/** Throws where no cell of `notebook` has run; says how many have not. */
function checkRun({ cells = [] }: Notebook, given: string): void {
  const code = cells.filter((cell) => cell.cell_type === 'code' && textOf(cell.source).trim() !== '')
  const idle = code.filter((cell) => typeof cell.execution_count !== 'number' && !cell.outputs?.length)
  if (idle.length === 0) return
  const help = `run it with \`npx zslab run ${given}\``
  if (idle.length === code.length) throw new ZslabError('file', `${shown(given)} has no outputs yet: ${help} first`)
  note(`zslab: ${idle.length} of ${code.length} code cells have not run, and are exported as they are: ${help}`)
}

const textOf = (text: Cell['source']) => (Array.isArray(text) ? text.join('') : String(text ?? ''))

const FETCHED =
  /<(?:img|script|link|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|href|data)="((?:https?:)?\/\/[^"]*)"/g

/** The notebook as html; says what it would fetch, since markdown or html of the notebook's own names it. */
async function page({ notebook, source, signal }: Omit<Work, 'target'>): Promise<string> {
  const html = await pageOf(notebook, source, signal)
  const fetched = [...html.matchAll(FETCHED)].map(([, address]) => address)
  if (fetched.length)
    note(`zslab: the notebook shows what lies on the network: ${listed(fetched)}; without a network that is missing`)
  return html
}

async function latex({ notebook, source, target, signal }: Work): Promise<void> {
  // As TeX takes names without quotes.
  const name = nameOf(source).replaceAll(/[^A-Za-z0-9_-]+/g, '-')
  const pictures = `${name}_files`
  const made = await latexOf(notebook, source, pictures, signal)
  await writeLatex(target, name, pictures, made, signal)
  if (made.missing.length)
    note(`zslab: pictures that are not in the notebook's folder are words: ${listed(made.missing)}`)
  if (made.unknown.length)
    note(
      `zslab: TeX has no command for ${listed(made.unknown)}: xelatex and lualatex take DejaVu Sans Mono's where it has them, else the code is shown`,
    )
}

/** The first, and how many others there are. */
function listed(all: string[]): string {
  const [first, ...others] = new Set(all)
  return others.length ? `${shown(first)} and ${others.length} more` : shown(first)
}
