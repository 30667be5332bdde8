/**
 * What `npm pack` does first: everything that an installed package brings ready made lies in dist/ — the TypeScript part, the lab
 * extension, and danfojs-node with our stand-ins, since npm heeds "overrides" in the root package only and would ask the
 * network for what they replace. Node finds them in dist/node_modules; what they depend on is a dependency of ours.
 *   --undo   takes danfojs and the stand-ins out of dist/ again (after packing)
 */
import { spawnSync } from 'node:child_process'
import { cpSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildExtension } from './labextension.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BROUGHT = ['danfojs-node', '@tensorflow/tfjs-node', 'xlsx']
const say = (line) => console.error(`zslab: ${line}`)

rmSync(join(ROOT, 'dist/node_modules'), { recursive: true, force: true })
if (!process.argv.includes('--undo')) {
  for (const part of ['src', 'kernel']) rmSync(join(ROOT, 'dist', part), { recursive: true, force: true }) // nothing of last year
  const built = spawnSync(process.execPath, [join(ROOT, 'scripts/build.mjs'), '--types'], { stdio: ['ignore', 2, 2] })
  const failed = built.status === 0 ? await buildExtension(ROOT, say) : 'the package cannot be packed'
  if (failed) {
    say(failed)
    process.exitCode = 1
  } else
    for (const name of BROUGHT)
      cpSync(realpathSync(join(ROOT, 'node_modules', name)), join(ROOT, 'dist/node_modules', name), { recursive: true })
}
