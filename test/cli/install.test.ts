/** `zslab install`, `uninstall` and what `doctor` says of it: real folders, the built kernel, the real lab extension. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAIN, ROOT } from '../kernel/client.js'

const CLI = join(ROOT, 'dist/src/cli/main.js')
const version = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version

interface Spec {
  argv: string[]
  display_name: string
  interrupt_mode: string
  metadata: Record<string, unknown>
}
interface Finding {
  name: string
  ok: boolean
  found: string
  help: string
}

describe('zslab install', function () {
  this.timeout(300_000)
  let folder: string
  before(() => {
    const built = spawnSync(process.execPath, ['scripts/build.mjs', '--types'], { cwd: ROOT, encoding: 'utf8' })
    assert.equal(built.status, 0, built.stderr)
  })
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'zslab-install-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** Jupyter's folders lie in the test's; no Python is active, unless `env` brings one. */
  const zslab = (words: string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [CLI, ...words], {
      timeout: 60_000,
      encoding: 'utf8',
      cwd: ROOT,
      env: {
        ...process.env,
        JUPYTER_DATA_DIR: join(folder, 'user'),
        JUPYTER_PATH: '',
        ZSLAB_CACHE: join(folder, 'cache'),
        ...env,
      },
    })
  const done = (words: string[], env: NodeJS.ProcessEnv = {}) => {
    const { status, stdout, stderr } = zslab(words, env)
    assert.equal(status, 0, stderr)
    return stdout.trimEnd().split('\n')
  }
  const specOf = (data: string, name = 'zslab') =>
    JSON.parse(readFileSync(join(data, 'kernels', name, 'kernel.json'), 'utf8')) as Spec
  const filesIn = (data: string) =>
    existsSync(data) ? (readdirSync(data, { recursive: true, encoding: 'utf8' }) as string[]).sort() : []

  it('writes kernelspec, lab extension and page template, and uninstall leaves nothing of them', () => {
    const data = join(folder, 'prefix/share/jupyter')
    mkdirSync(join(folder, 'prefix'))
    const written = done(['install', '--prefix', join(folder, 'prefix')])
    assert.deepEqual(written.sort(), [
      join(data, 'kernels/zslab'),
      join(data, 'labextensions/zslab-jupyterlab'),
      join(data, 'nbconvert/templates/zslab'),
    ])
    const { argv, display_name, interrupt_mode, metadata } = specOf(data)
    assert.deepEqual(argv, [process.execPath, MAIN, 'start', '{connection_file}'])
    assert.deepEqual([display_name, interrupt_mode], ['TypeScript (zslab)', 'message'])
    assert.deepEqual(metadata, { debugger: false, supported_encryption: ['curve'], zslab: { version } })
    const manifest = JSON.parse(readFileSync(join(data, 'labextensions/zslab-jupyterlab/package.json'), 'utf8')) as {
      version: string
      jupyterlab: { _build: { load: string } }
    }
    assert.equal(manifest.version, version, 'kernel and extension are of one version')
    for (const path of [
      `labextensions/zslab-jupyterlab/${manifest.jupyterlab._build.load}`,
      'nbconvert/templates/zslab/index.html.j2',
      'kernels/zslab/logo-32x32.png',
      'kernels/zslab/logo-64x64.png',
      'kernels/zslab/logo-svg.svg',
    ])
      assert.ok(existsSync(join(data, path)), path)
    assert.deepEqual(done(['uninstall', '--prefix', join(folder, 'prefix')]).sort(), written)
    assert.deepEqual(filesIn(join(folder, 'prefix')), [])
    assert.deepEqual(done(['uninstall', '--prefix', join(folder, 'prefix')]), ['nothing of the kernel was there'])
  })

  it('--name installs beside another, and the last one takes away what they share', () => {
    const data = join(folder, 'user')
    done(['install'])
    done(['install', '--user', '--name', 'Ts.Two', '--display-name', '-- TypeScript, the second'])
    assert.equal(specOf(data, 'ts.two').display_name, '-- TypeScript, the second')
    assert.deepEqual(done(['uninstall', '--name', 'ts.two']), [join(data, 'kernels/ts.two')])
    assert.ok(existsSync(join(data, 'labextensions/zslab-jupyterlab')))
    done(['install', '--name', 'three'])
    assert.equal(specOf(data, 'three').display_name, 'TypeScript (three)')
    assert.deepEqual(done(['uninstall']), [join(data, 'kernels/zslab')])
    assert.equal(done(['uninstall', '--name', 'three']).length, 3)
    assert.deepEqual(filesIn(data), [])
  })

  it('neither overwrites nor removes the kernels of others', () => {
    const other = join(folder, 'user/kernels/python3')
    mkdirSync(other, { recursive: true })
    writeFileSync(join(other, 'kernel.json'), JSON.stringify({ argv: ['python3', '-m', 'ipykernel_launcher'] }))
    const before = filesIn(join(folder, 'user'))
    for (const command of ['install', 'uninstall']) {
      const { status, stderr } = zslab([command, '--name', 'python3'])
      assert.equal(status, 2)
      assert.match(stderr, /kernels\/python3 is another kernel/)
    }
    assert.deepEqual(filesIn(join(folder, 'user')), before)
  })

  it('--sys-prefix writes into the active Python environment', () => {
    const bin = join(folder, 'env/bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'python3'), `#!/bin/sh\necho ${join(folder, 'env')}\necho True\n`, { mode: 0o755 })
    done(['install', '--sys-prefix'], { PATH: `${bin}:${process.env.PATH}` })
    assert.ok(existsSync(join(folder, 'env/share/jupyter/kernels/zslab/kernel.json')))
  })

  it('refuses what cannot be, in a sentence', () => {
    for (const [words, says] of [
      [['--name', 'a b'], /--name "a b" cannot name a kernel: use letters, digits, points, underscores and hyphens/],
      [['--name', '..'], /--name "\.\." cannot name a kernel/],
      [['--name', 'a/b'], /cannot name a kernel/],
      [['--name', ''], /--name "" cannot name a kernel/],
      [['--display-name', ' '], /--display-name " " cannot be shown: give a line of text/],
      [['--user', '--sys-prefix'], /exclude each other/],
      [['--prefix', ''], /--prefix needs a folder/],
      [['--prefix', '/proc/nowhere'], /cannot be written .* choose another place with --prefix/],
    ] as [string[], RegExp][]) {
      const { status, stderr } = zslab(['install', ...words])
      assert.equal(status, 2, words.join(' '))
      assert.match(stderr, says)
    }
    assert.deepEqual(filesIn(join(folder, 'user')), [])
  })

  describe('doctor', () => {
    const doctor = (name: string, env: NodeJS.ProcessEnv = {}) => {
      const { stdout } = zslab(['doctor', '--json'], env)
      return (JSON.parse(stdout) as { findings: Finding[] }).findings.find((one) => one.name === name)!
    }
    const rewrite = (data: string, change: (spec: Spec) => void) => {
      const spec = specOf(data)
      change(spec)
      writeFileSync(join(data, 'kernels/zslab/kernel.json'), JSON.stringify(spec))
    }

    it('is content with a whole install, and names what removes a broken one', () => {
      done(['install'])
      assert.deepEqual([doctor('kernel').ok, doctor('lab extension').ok], [true, true])
      const data = join(folder, 'user')
      rewrite(data, (spec) => (spec.argv[0] = '/no/such/node'))
      const gone = doctor('kernel')
      assert.equal(gone.ok, false)
      assert.match(gone.found, /it starts \/no\/such\/node, which is not there or cannot be run/)
      assert.match(gone.help, /npx zslab install --user.*npx zslab uninstall --user/)
      done(['install', '--user'])
      assert.equal(doctor('kernel').ok, true)
      writeFileSync(join(data, 'kernels/zslab/kernel.json'), '{ broken')
      assert.match(doctor('kernel').found, /kernel\.json cannot be read/)
      assert.equal(done(['uninstall']).length, 3)
    })

    it('finds an install under another name, and what hides it', () => {
      const other = join(folder, 'other/share/jupyter')
      done(['install', '--name', 'ts'])
      assert.ok(doctor('kernel').found.includes(join(folder, 'user/kernels/ts')))
      done(['install'])
      done(['install', '--prefix', join(folder, 'other')])
      rewrite(other, (spec) => (spec.argv[1] = CLI))
      const twice = doctor('kernel', { JUPYTER_PATH: other })
      assert.equal(twice.ok, false)
      assert.match(twice.found, /installed twice as zslab/)
      assert.ok(twice.help.includes(`npx zslab uninstall --prefix ${join(folder, 'other')}`), twice.help)
    })

    it('finds an extension of another version or build, and one with missing files', () => {
      const data = join(folder, 'user')
      const extension = join(data, 'labextensions/zslab-jupyterlab')
      const manifest = join(extension, 'package.json')
      done(['install'])
      const kept = readFileSync(manifest, 'utf8')
      writeFileSync(manifest, kept.replace(/"version": "[^"]*"/, '"version": "0.0.1"'))
      assert.match(doctor('lab extension').found, new RegExp(`version 0\\.0\\.1, the kernel of ${version}`))
      writeFileSync(manifest, kept)
      writeFileSync(join(extension, 'built.json'), '{"stamp":"of another"}')
      assert.match(doctor('lab extension').found, /another build/)
      done(['install'])
      assert.equal(doctor('lab extension').ok, true)
      rmSync(join(extension, 'static'), { recursive: true })
      assert.match(doctor('lab extension').found, /files of it are missing/)
    })

    it('says that there is none where there is none', () => {
      const bare = join(folder, 'bare')
      cpSync(join(ROOT, 'dist'), join(bare, 'dist'), { recursive: true })
      for (const name of ['package.json', 'kernel/labextension/package.json'])
        cpSync(join(ROOT, name), join(bare, name))
      symlinkSync(join(ROOT, 'node_modules'), join(bare, 'node_modules'))
      // A copy without .venv, since the project's own has an install.
      const words = [join(bare, 'dist/src/cli/main.js'), 'doctor', '--json']
      const { stdout, stderr } = spawnSync(process.execPath, words, {
        encoding: 'utf8',
        env: { ...process.env, JUPYTER_DATA_DIR: join(folder, 'none'), JUPYTER_PATH: '' },
      })
      assert.match(stdout, /"kernel".*not known to Jupyter.*npx zslab install/, stderr)
    })
  })
})
