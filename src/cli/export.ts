/** `npx zslab export`: a notebook with its outputs as a page that needs no network, or as PDF. */
import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { shown, ZslabError } from '../errors.js'
import { projectRoot } from '../native/binding.js'
import { checkPlace, replaceFile } from '../trace/files/replace.js'
import { browserForPdf, printed } from './browser.js'
import { interruptSignal, note, print, UsageError } from './common.js'
import { prepared, PYTHON } from './jupyter.js'
import { EXPORTER, type ExporterWords } from './notebook-exporter.js'
import { notebookAt, type Cell, type Notebook } from './notebook-file.js'
import { outputOf } from './scripts.js'

const FORMATS = ['html', 'pdf'] as const
type Format = (typeof FORMATS)[number]

export function exportCommand(): Command {
  return new Command('export')
    .description('a notebook with its outputs as a page that needs no network, or as PDF (by Chromium)')
    .argument('<notebook>', 'an .ipynb file that was run')
    .addOption(new Option('--to <format>', 'what it becomes').choices(FORMATS).makeOptionMandatory())
    .option('--output <file>', 'where it goes (default: beside the notebook)')
    .action(async (given: string, { to, output }: { to: Format; output?: string }) => {
      const source = resolve(given)
      const notebook = notebookAt(source)
      checkRun(notebook, given)
      const target = resolve(output ?? join(dirname(source), `${basename(source, extname(source))}.${to}`))
      if (existsSync(target) && realpathSync(target) === realpathSync(source))
        throw new UsageError(`--output ${shown(output)} is the notebook itself: choose another file`)
      await checkPlace(target, `the notebook as ${to}`)
      const browser = to === 'pdf' ? browserForPdf() : undefined
      if (!(await prepared())) return
      const { signal, done } = interruptSignal()
      try {
        const page = await pageOf(notebook, source, signal)
        tellStrangers(page)
        const content = browser === undefined ? page : await printed(browser, page, signal)
        signal.throwIfAborted()
        await replaceFile(target, `the notebook as ${to}`, [content])
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

async function pageOf(notebook: Notebook, source: string, signal: AbortSignal): Promise<string> {
  const words: ExporterWords = {
    name: basename(source, extname(source)),
    folder: dirname(source),
    templates: join(projectRoot, '.venv/share/jupyter/nbconvert/templates'),
  }
  try {
    const input = JSON.stringify(notebook)
    // Isolated: no module of the folder that it is started in stands before Python's own.
    const page = await outputOf(PYTHON, ['-I', '-c', EXPORTER, JSON.stringify(words)], { input, signal })
    return page.toString('utf8')
  } catch (error) {
    if (signal.aborted) throw error
    throw new ZslabError('file', `${shown(source)} could not be exported: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

const FETCHED =
  /<(?:img|script|link|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|href|data)="((?:https?:)?\/\/[^"]*)"/g

/** Says what the page would fetch: markdown or html of the notebook's own names it. */
function tellStrangers(page: string): void {
  const strangers = new Set([...page.matchAll(FETCHED)].map(([, address]) => address))
  if (strangers.size === 0) return
  const [first] = strangers
  const others = strangers.size > 1 ? ` and ${strangers.size - 1} more` : ''
  note(
    `zslab: the notebook shows what lies on the network: ${shown(first)}${others}; without a network that is missing`,
  )
}
