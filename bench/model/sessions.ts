/** Many sessions in a batch beside the same ones one after another: bench/batch.ts, in a process of its own. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Setting } from './setting.js'

const SCRIPT = fileURLToPath(new URL('../batch.ts', import.meta.url))

export async function batch({ options }: Setting): Promise<void> {
  const words = ['--import=tsx', SCRIPT, String(options.turns)]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'inherit', 'inherit'] })
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (status !== 0) throw new Error(`bench/batch.ts ended with ${status}`)
  console.log()
}
