/** The Chromium that a machine has, as a printer of pages. */
import { accessSync, constants, statSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { shown, ZslabError } from '../errors.js'
import { outputOf } from './scripts.js'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** How to get one. */
export const BROWSER_HELP = '`apt-get install chromium`, or name one with ZSLAB_BROWSER'

/** The path of `ZSLAB_BROWSER`, or of the first Chromium on PATH; undefined where there is none. */
export function findBrowser(): string | undefined {
  const asked = process.env.ZSLAB_BROWSER
  return findProgram(...(asked ? [asked] : NAMES))
}

/** findBrowser(). Errors: 'unsupported' where there is none, with how to get one. */
export function browserForPdf(): string {
  const found = findBrowser()
  if (found === undefined)
    throw new ZslabError('unsupported', `a pdf is printed by Chromium, and there is none: ${BROWSER_HELP}`)
  return found
}

/** Where the first of `names` that is there lies: names are looked for on PATH, paths are themselves. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = names.flatMap((name) => (name.includes('/') ? [name] : folders.map((folder) => join(folder, name))))
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return statSync(path).isFile()
    } catch {
      return false
    }
  })
}

/** Without a window, and asking nobody for anything by itself. */
export const QUIET = [
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A page takes seconds; a browser that has stopped answering would take for ever. */
const PRINT_MS = 5 * 60_000

/**
 * `page` (html that needs nothing else) as PDF, with text and svg as such and an outline of its headings; sizes and page numbers are those
 * of its own `@page`. Nothing is fetched. Errors: 'unsupported' where `browser` cannot print, or has not after `within` milliseconds;
 * rejects with the signal's reason.
 */
export async function printed(browser: string, page: string, signal: AbortSignal, within = PRINT_MS): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'zslab-print-'))
  try {
    const [source, target] = [join(folder, 'page.html'), join(folder, 'page.pdf')]
    await writeFile(source, page)
    const words = [
      ...QUIET,
      // Root has no sandbox: Chromium refuses to start with one.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--host-resolver-rules=MAP * ~NOTFOUND',
      `--user-data-dir=${join(folder, 'profile')}`,
      // What pages draw by themselves (plotly, vega) is drawn before they are printed.
      '--virtual-time-budget=10000',
      '--no-pdf-header-footer',
      '--generate-pdf-document-outline',
      `--print-to-pdf=${target}`,
      pathToFileURL(source).href,
    ]
    const late = AbortSignal.timeout(within)
    try {
      await outputOf(browser, words, { signal: AbortSignal.any([signal, late]) })
      return await readFile(target)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (late.aborted)
        throw new ZslabError(
          'unsupported',
          `${shown(browser)} has not printed within ${within / 1000} s and was ended: try again, or name another with ZSLAB_BROWSER`,
        )
      throw new ZslabError(
        'unsupported',
        `${shown(browser)} did not print (${(error as Error).message}): a browser that is a snap sees only files in your home, so set TMPDIR to a folder there; or name another with ZSLAB_BROWSER`,
        { cause: error },
      )
    }
  } finally {
    // Its processes may still write for a moment.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}
