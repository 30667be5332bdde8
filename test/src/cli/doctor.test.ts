/** `zslab doctor`: what is there and what is missing, in words and as JSON, with the command that adds it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { canEmulate, emulatedLibrary } from '../../native/emulated.js'
import { load } from '../../../src/index.js'
import { ownFolder, toyPath } from '../model/files.js'

const main = fileURLToPath(new URL('../../../dist/src/cli/main.js', import.meta.url))

interface Report {
  version: string
  ok: boolean
  findings: { name: string; ok: boolean; needed: boolean; found: string; help: string }[]
}

describe('zslab doctor', () => {
  const folder = ownFolder()
  const doctor = (env: NodeJS.ProcessEnv, ...words: string[]) =>
    spawnSync(process.execPath, [main, 'doctor', ...words], {
      encoding: 'utf8',
      env: { ...process.env, ZSLAB_CACHE: join(folder, 'cache'), ...env },
    })

  it('says the same in words and as JSON', () => {
    const { status, stdout } = doctor({}, '--json')
    const report = JSON.parse(stdout) as Report
    assert.deepEqual([status, report.ok], [0, true])
    const names = report.findings.map(({ name }) => name)
    for (const name of [
      'platform',
      'native part',
      'matrix library',
      'products',
      'compiler',
      'kernel start',
      'python3',
      'browser',
      'cuda',
      'models',
    ])
      assert.ok(names.includes(name), name)
    const lines = doctor({}).stdout.trimEnd().split('\n')
    assert.equal(lines.length, report.findings.length)
    report.findings.forEach(({ name, ok, needed, found, help }, i) => {
      assert.ok(lines[i].startsWith(ok ? 'ok' : needed ? 'MISSING' : 'without'), lines[i])
      for (const part of [name, found, help]) assert.ok(lines[i].includes(part), lines[i])
    })
  })

  it('says of products what loaded models say', async () => {
    const { findings } = JSON.parse(doctor({}, '--json').stdout) as Report
    const { found } = findings.find(({ name }) => name === 'products')!
    for (const weights of ['float32', 'bfloat16'] as const) {
      const model = await load(toyPath, { weights, progress: false })
      const { prompts } = model.held
      model.dispose()
      if (weights === 'float32' || prompts.includes('rounded'))
        assert.ok(found.includes(prompts), `${found}: ${prompts}`)
      else assert.match(found, /with weights 'bfloat16' the same, .*: the (build|CPU) lacks /)
    }
  })

  it('finds a kernel that cannot start, and one that hides another', () => {
    const spec = (place: string, main: string) => {
      const kernel = join(folder, place, 'share/jupyter/kernels/zslab')
      mkdirSync(kernel, { recursive: true })
      writeFileSync(join(kernel, 'kernel.json'), JSON.stringify({ argv: [process.execPath, main, 'start'] }))
      return join(folder, place, 'share/jupyter')
    }
    const kernel = (...places: string[]) => {
      const env = { JUPYTER_PATH: places.join(':'), JUPYTER_DATA_DIR: join(folder, 'none') }
      const report = JSON.parse(doctor(env, '--json').stdout) as Report
      return report.findings.find(({ name }) => name === 'kernel')!
    }
    const broken = kernel(spec('a', '/no/such/main.js'))
    assert.equal(broken.ok, false)
    assert.match(broken.found, /\/no\/such\/main\.js, which is not there/)
    assert.match(broken.help, new RegExp(`npx zslab uninstall --prefix ${join(folder, 'a')}`))
    const twice = kernel(spec('b', main), spec('c', fileURLToPath(import.meta.url)))
    assert.equal(twice.ok, false)
    assert.match(twice.found, /installed twice/)
  })

  it('says why no GPU can be used', () => {
    const cuda = (library: string) => {
      const report = JSON.parse(doctor({ ZSLAB_CUDA_LIBRARY: library }, '--json').stdout) as Report
      assert.equal(report.ok, true)
      return report.findings.find(({ name }) => name === 'cuda')!
    }
    const own = cuda('')
    if (!own.ok) assert.match(own.found, /^library not built: |^library built with nvcc 13\.0\.\d+, not usable: /)
    const none = cuda(join(folder, 'none.so'))
    assert.equal(none.ok, false)
    assert.match(none.found, /none\.so \(ZSLAB_CUDA_LIBRARY\), not usable: .* which is not there/)
    if (!canEmulate("doctor's line of an emulated GPU")) return
    const emulated = cuda(emulatedLibrary())
    assert.equal(emulated.ok, true)
    assert.match(emulated.found, /^emulated, for tests: cuda:0 emulated on the CPU \(capability 9\.0, /)
  }).timeout(600_000)

  it('names what adds a missing program', () => {
    const report = JSON.parse(doctor({ PATH: folder }, '--json').stdout) as Report
    const help = (name: string) => report.findings.find((finding) => finding.name === name)!
    for (const [name, says] of [
      ['compiler', /apt-get install g\+\+/],
      ['python3', /apt-get install python3-venv/],
      ['browser', /apt-get install chromium/],
      ['models', /fetched at first use/],
    ] as [string, RegExp][]) {
      assert.equal(help(name).ok, false, name)
      assert.match(help(name).help, says)
      assert.match(help(name).found, /none/)
    }
    assert.equal(report.ok, true, 'none of these is needed to run')
  })
})
