/**
 * Builds the lab extension (kernel/labextension, with what src/ has for pages → dist/labextension) when something of it changed, and says
 * nothing otherwise.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bringLibraries } from './pages.mjs'
import { output } from './python.mjs'

const SOURCE = 'kernel/labextension'
/** Modules of the extension that are put together from src/. */
const PAGES = { 'page.js': 'src/explorer/page/main.ts', 'zoom.js': 'src/figures/page/zoom.ts' }
/** Where the sources are put together; as far from dist/ as SOURCE is. */
const STAGE = 'build/labextension'
const BUILT = 'dist/labextension'
const BUILDER = 'node_modules/@jupyter/builder/lib/build-labextension.js'
const CORE = 'node_modules/@jupyterlab/core-meta/core.package.json'
const PARTS = ['@jupyter/builder', '@jupyterlab/core-meta', 'plotly.js-dist-min']

/** Builds it where needed. Returns undefined, or why it could not. `say` gets one line if there is something to do. */
export async function buildExtension(root, say) {
  const target = join(root, BUILT)
  if (!existsSync(join(root, SOURCE)) || !existsSync(join(root, BUILDER)))
    return existsSync(join(target, 'package.json'))
      ? undefined // an installed package brings it ready made
      : '@jupyter/builder is not installed: run `npm ci` in the project (without --omit=dev)'
  bringLibraries(root)
  const pages = await Promise.all(
    Object.entries(PAGES).map(async ([name, entry]) => [name, await bundled(root, entry)]),
  )
  const stamp = fingerprint(root, pages)
  if (stampOf(target) === stamp) return undefined
  say('building the lab extension that draws figures …')
  for (const folder of [target, join(root, STAGE)]) rmSync(folder, { recursive: true, force: true }) // files of another build have other names
  mkdirSync(join(root, STAGE), { recursive: true })
  cpSync(join(root, SOURCE), join(root, STAGE), { recursive: true })
  for (const [name, text] of pages) writeFileSync(join(root, STAGE, name), text)
  const done = await output(process.execPath, [
    join(root, BUILDER),
    '--core-package-file',
    join(root, CORE),
    join(root, STAGE),
  ])
  if (done.status !== 0)
    return `the lab extension does not build:\n${done.text.trim().split('\n').slice(-15).join('\n')}`
  writeFileSync(join(target, 'built.json'), JSON.stringify({ stamp }))
  return undefined
}

function stampOf(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'built.json'), 'utf8')).stamp
  } catch {
    return undefined
  }
}

/** With all that it shares with the library, as one module. */
async function bundled(root, entry) {
  const { build } = await import('esbuild')
  const { outputFiles } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    logLevel: 'warning',
  })
  return outputFiles[0].text
}

/** A hash over the sources and over the versions of what is built in and builds. */
function fingerprint(root, pages) {
  const hash = createHash('sha256')
  for (const [name, text] of pages) hash.update(`${name}\0`).update(text)
  for (const name of readdirSync(join(root, SOURCE)).sort())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(root, SOURCE, name)))
      .update('\0')
  for (const name of PARTS) {
    const manifest = join(root, 'node_modules', name, 'package.json')
    hash.update(`${name} ${existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : 'none'}\0`)
  }
  return hash.digest('hex')
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const say = (line) => console.error(`zslab: ${line}`)
  const failed = await buildExtension(fileURLToPath(new URL('..', import.meta.url)), say)
  if (failed) {
    say(failed)
    process.exitCode = 1
  }
}
