#!/usr/bin/env node
/** The command `zslab`. Where install scripts are off, a clone is not built yet: then the first command builds it. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../dist/src/cli/main.js', import.meta.url))
if (!existsSync(main)) {
  console.error('zslab: this clone is not built yet (`npx zslab build`): building it now')
  const build = fileURLToPath(new URL('build.mjs', import.meta.url))
  const { status } = spawnSync(process.execPath, [build], { stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(1)
}
process.argv[1] = main // as if it had been called itself
await import(main)
