/** The C ABI from outside: a C program and Python's ctypes, each on the built library. */
import { deepEqual, equal, match, ok } from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { projectRoot } from '../../src/native/binding.js'

const LIBRARIES = join(projectRoot, 'build/Release')
const SHARED = join(LIBRARIES, process.platform === 'darwin' ? 'libzslab.dylib' : 'libzslab.so')

/** What a C program of `source` (a path from the root) prints, on the built library. */
function runC(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-abi-'))
  try {
    const program = join(folder, 'program')
    const words = ['-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror', '-I', join(projectRoot, 'native/include')]
    const link = [`-L${LIBRARIES}`, '-lzslab', `-Wl,-rpath,${LIBRARIES}`, '-lm']
    const compiler = process.env.CC ?? 'cc'
    const compiled = spawnSync(compiler, [...words, join(projectRoot, source), '-o', program, ...link], {
      encoding: 'utf8',
    })
    equal(compiled.status, 0, compiled.stderr)
    const ran = spawnSync(program, { encoding: 'utf8' })
    equal(ran.status, 0, ran.stderr)
    return ran.stdout
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('the C ABI', () => {
  it('compiles as C99 without a warning, and a C program runs a prompt, a fork and a step', () => {
    const [facts, sentence] = runC('test/native/abi.c').split('\n')
    // 3 of the 6 tokens become one residual slot at the prompt, a fourth joins at the step: 4 + 1 + 1 + 1.
    equal(facts, 'slots 4 seen 7 weights 4 1 1 1 origins 7 events 9 receipt 1111')
    equal(sentence, 'layer is 3: expected 0 to 0')
  })

  it('the examples in C and Python run attention and ZSMerge in at most 40 lines each, to the same numbers', () => {
    for (const example of ['docs/c/zsmerge.c', 'docs/c/zsmerge.py'])
      ok(readFileSync(join(projectRoot, example), 'utf8').trimEnd().split('\n').length <= 40, example)
    const found = /^seen 2100 slots 400 merged 3800 held 1 (out -?\d\.\d{6})\n$/.exec(runC('docs/c/zsmerge.c'))
    const python = spawnSync('python3', [join(projectRoot, 'docs/c/zsmerge.py'), SHARED], { encoding: 'utf8' })
    equal(python.status, 0, python.stderr)
    equal(python.stdout, `seen 2100 slots 400 ${found?.[1]}\n`)
  })

  it('shows Python what it runs on', () => {
    const script = `
import ctypes, json
lib = ctypes.CDLL(${JSON.stringify(SHARED)})
lib.zs_engine_describe.restype = ctypes.c_char_p
lib.zs_last_error.restype = ctypes.c_char_p
engine = ctypes.c_void_p()
assert lib.zs_engine_create(1, -1, ctypes.byref(engine)) == 0
print(lib.zs_engine_describe(engine).decode())
assert lib.zs_engine_create(1000, -1, ctypes.byref(ctypes.c_void_p())) == 1
print(lib.zs_last_error().decode())
lib.zs_engine_destroy(engine)
`
    const ran = spawnSync('python3', ['-c', script], { encoding: 'utf8' })
    equal(ran.status, 0, ran.stderr)
    const [description, sentence] = ran.stdout.split('\n')
    deepEqual(Object.keys(JSON.parse(description) as object), ['isa', 'threads', 'cpuFeatures', 'quickBf16', 'library', 'abi', 'device'])
    match(sentence, /^threads is 1000: expected 1 to 256/)
  })

  it('exports nothing but its own functions', () => {
    const listed = spawnSync('nm', ['-D', '--defined-only', SHARED], { encoding: 'utf8' })
    equal(listed.status, 0, listed.stderr)
    const names = listed.stdout
      .split('\n')
      .filter((line) => / T /.test(line))
      .map((line) => line.split(' ').at(-1)!)
      .sort()
    const folder = join(projectRoot, 'native/include/zslab')
    const headers = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    const declared = [...headers.join('\n').matchAll(/^ZS_API [^;]*?\b(zs_\w+)\(/gm)].map(([, name]) => name).sort()
    deepEqual(names, declared)
  })
})
