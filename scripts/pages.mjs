/** What exported pages draw plots with (→ dist/pages): libraries as npm brings them, one file for each kind of plot. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const LIBRARIES = {
  'plotly.min.js': ['plotly.js-dist-min/plotly.min.js'],
  'vega.min.js': ['vega/build/vega.min.js', 'vega-lite/build/vega-lite.min.js', 'vega-embed/build/vega-embed.min.js'],
}

/** Writes what is missing or of another version; leaves out what is not installed. */
export function bringLibraries(root) {
  for (const [name, files] of Object.entries(LIBRARIES)) {
    const paths = files.map((file) => join(root, 'node_modules', file))
    if (!paths.every((path) => existsSync(path))) continue
    const target = join(root, 'dist/pages', name)
    const text = paths.map(asGlobal).join('\n')
    if (existsSync(target) && readFileSync(target, 'utf8') === text) continue
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, text)
  }
}

/** A UMD build that becomes a global whatever loader the page has beside it, under its licence and without its source map. */
function asGlobal(path) {
  const script = readFileSync(path, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '')
  return `${licenceOf(path)}(function () { var define, module, exports;\n${script}\n}).call(window);\n`
}

function licenceOf(path) {
  const folder = path.slice(0, path.indexOf('/', path.indexOf('node_modules/') + 13))
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const text = readFileSync(join(folder, 'LICENSE'), 'utf8').trim().replaceAll('*/', '* /')
  return `/*! ${name} ${version} (${license})\n${text}\n*/\n`
}
