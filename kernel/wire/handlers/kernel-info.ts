/** kernel_info_request: who this kernel is. Answered without the cell process, so that clients need not wait for it. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { shippedPackage } from '../../cell/package.js'
import { PROTOCOL } from '../message.js'
import type { Handler, Reply } from './handler.js'

export const kernelInfo: Handler = {
  type: 'kernel_info_request',
  reply: 'kernel_info_reply',
  handle: () => (info ??= make()),
}

let info: Reply | undefined

function make(): Reply {
  const { name, version } = shippedPackage()
  const typescript = typescriptVersion()
  return {
    status: 'ok',
    protocol_version: PROTOCOL,
    implementation: name,
    implementation_version: version,
    language_info: {
      name: 'typescript',
      version: typescript,
      mimetype: 'text/typescript',
      file_extension: '.ts',
      pygments_lexer: 'typescript',
      codemirror_mode: 'typescript', // the name by which JupyterLab knows it; an object would be taken for JavaScript
      nbconvert_exporter: 'script',
    },
    banner: `TypeScript ${typescript} on Node ${process.versions.node} (${name} ${version})`,
    help_links: [
      { text: 'TypeScript', url: 'https://www.typescriptlang.org/docs/' },
      { text: 'Node.js', url: 'https://nodejs.org/docs/latest/api/' },
    ],
    debugger: false,
    supported_features: ['kernel subshells'],
  }
}

/** Of the compiler that cells are compiled with; read, not loaded: that takes a third of a second. */
function typescriptVersion(): string {
  const require = createRequire(import.meta.url)
  const compiler = createRequire(require.resolve('tslab/dist/converter')).resolve('@tslab/typescript-for-tslab')
  const manifest = readFileSync(join(dirname(dirname(compiler)), 'package.json'), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}
