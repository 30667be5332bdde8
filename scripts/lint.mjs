/**
 * What must hold before anything is run: eslint, prettier, clang-format and the types of everything. Each is told in one line, its
 * findings below; exit status 1 if one of them failed.
 *   --fix      mend what can be mended by itself        NAME …   only these: eslint prettier clang-format types
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missing, pip } from './python.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** One version for everybody: another one breaks lines elsewhere. */
const CLANG_FORMAT = 'clang-format==19.1.7'
// Not node_modules/.bin/tsc: another package's older compiler has that name.
const TSC = 'node_modules/typescript/bin/tsc'
const SHOWN = 120

const CHECKS = { eslint, prettier, 'clang-format': clangFormat, types }
const given = process.argv.slice(2)
const fix = given.includes('--fix')
const asked = given.filter((word) => !word.startsWith('-'))
const wrong = given.find((word) => word !== '--fix' && !(word in CHECKS))

if (wrong) {
  console.error(`scripts/lint.mjs has no ${wrong}; it has --fix and ${Object.keys(CHECKS).join(', ')}`)
  process.exitCode = 2
} else {
  const queue = Object.entries(CHECKS).filter(([name]) => !asked.length || asked.includes(name))
  const lane = async () => {
    for (let next; (next = queue.shift());) await told(...next)
  }
  // Those that mend write the same files: one after another.
  await Promise.all(fix ? [lane()] : [lane(), lane()])
}

async function told(name, check) {
  const from = Date.now()
  const { status, text } = await check()
  const ok = status === 0
  console.log(`${name}: ${ok ? 'ok' : 'failed'} (${((Date.now() - from) / 1000).toFixed(0)} s)`)
  if (ok) return
  process.exitCode = 1
  const lines = text.trimEnd().split('\n')
  console.log(lines.slice(0, SHOWN).join('\n'))
  if (lines.length > SHOWN) console.log(`… and ${lines.length - SHOWN} more lines`)
}

function eslint() {
  return node(['node_modules/eslint/bin/eslint.js', '--max-warnings', '0', ...(fix ? ['--fix'] : []), '.'])
}

function prettier() {
  const how = fix ? ['--write', '--log-level', 'warn'] : ['--check', '--log-level', 'warn']
  return node(['node_modules/prettier/bin/prettier.cjs', ...how, '.'])
}

async function clangFormat() {
  const failed = missing(ROOT, [CLANG_FORMAT]).length ? await pip(ROOT, [CLANG_FORMAT]) : undefined
  if (failed) {
    const help = 'connect to a Python package index once (python3 ≥ 3.9 with venv)'
    return { status: 1, text: `${CLANG_FORMAT} cannot be put into .venv: ${failed}; ${help}` }
  }
  const files = readdirSync(join(ROOT, 'native'), { recursive: true })
    .filter((name) => /\.(cpp|h|inc|cu|cuh)$/.test(name))
    .map((name) => join('native', name))
    .sort()
  const { status, text } = await run(join(ROOT, '.venv/bin/clang-format'), [
    ...(fix ? ['-i'] : ['--dry-run', '--Werror']),
    ...files,
  ])
  const places = (file) => text.split('\n').filter((line) => line.startsWith(`${file}:`)).length
  const told = files.filter(places).map((file) => `${file}: ${places(file)} places`)
  return { status, text: told.length ? [...told, '`npm run lint -- --fix clang-format` mends them'].join('\n') : text }
}

async function types() {
  const done = []
  for (const project of ['tsconfig.json', 'tsconfig.page.json', 'tsconfig.test.json'])
    done.push(await node([TSC, '--noEmit', '-p', project]))
  return { status: Math.max(...done.map(({ status }) => status)), text: done.map(({ text }) => text).join('') }
}

function node(args) {
  return run(process.execPath, args)
}

function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
    child.on('error', reject).on('close', (status) => resolve({ status: status ?? 1, text }))
  })
}
