/** The Python program that `zslab export` starts: a notebook as JSON on stdin becomes, by nbconvert and our template, a page on stdout. */

/** What the program is told, as JSON in its first argument. */
export interface ExporterWords {
  /** Title of what has none. */
  name: string
  /** The notebook's folder, in which pictures of its text are looked for. */
  folder: string
  /** Where the template lies. */
  templates: string
}

export const EXPORTER = `
import json, logging, sys
import nbformat
from nbconvert.exporters import HTMLExporter
logging.disable(logging.CRITICAL)
told = json.loads(sys.argv[1])
try:
    notebook = nbformat.reads(sys.stdin.buffer.read().decode(), as_version=4)
    nbformat.validate(notebook)
    exporter = HTMLExporter(template_name='zslab', extra_template_basedirs=[told['templates']], embed_images=True)
    resources = {'metadata': {'name': told['name'], 'path': told['folder']}}
    page, _ = exporter.from_notebook_node(notebook, resources=resources)
    sys.stdout.buffer.write(page.encode())
except Exception as error:
    print(' '.join(str(error).split()) or type(error).__name__, file=sys.stderr)
    sys.exit(1)
`
