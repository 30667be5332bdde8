/** Whatever nvcc a machine has, the build goes on: which one is taken, and what is said of one that does not fit or work. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buildCuda, findNvcc } from '../../scripts/cuda.mjs'
import { findTool } from '../../scripts/python.mjs'
import { projectRoot } from '../../src/native/binding.js'
import { ownFolder, written } from '../src/model/files.js'

describe('nvcc', () => {
  const folder = ownFolder()
  /** A program that says it is nvcc of `version` and can do nothing else. */
  const nvcc = (place: string, version: string | undefined) => {
    const at = join(folder, place)
    mkdirSync(at, { recursive: true })
    const says = version && `[ "$1" = --version ] && { echo "Cuda compilation tools, release 1, V${version}"; exit 0; }`
    const path = written(at, 'nvcc', Buffer.from(`#!/bin/sh\n${says ?? ''}\necho "fatal: broken" >&2\nexit 1\n`))
    chmodSync(path, 0o755)
    return path
  }
  const found = (path: string, home?: string, root = folder) => {
    const before = { ...process.env }
    try {
      process.env.PATH = path
      if (home === undefined) delete process.env.CUDA_HOME
      else process.env.CUDA_HOME = home
      return findNvcc(root)
    } finally {
      process.env.PATH = before.PATH
      if (before.CUDA_HOME === undefined) delete process.env.CUDA_HOME
      else process.env.CUDA_HOME = before.CUDA_HOME
    }
  }

  it('is taken from PATH, CUDA_HOME or .venv, the first that fits', () => {
    const old = nvcc('old/bin', '12.4.131')
    const home = nvcc('home/bin', '13.0.88')
    const own = nvcc('project/.venv/lib/python3.11/site-packages/nvidia/cu13/bin', '13.0.96')
    assert.deepEqual(found(folder), { why: 'no nvcc in PATH, CUDA_HOME or .venv' })
    assert.deepEqual(found(dirname(home)), { path: home, version: '13.0.88' })
    assert.deepEqual(found(dirname(old), join(folder, 'home')), { path: home, version: '13.0.88' })
    assert.deepEqual(found(dirname(old), undefined, join(folder, 'project')), { path: own, version: '13.0.96' })
    const help = 'and 13.0.x is needed: name its toolkit by CUDA_HOME'
    assert.deepEqual(found(dirname(old)), { why: `${old} is 12.4.131, ${help}` })
    const mute = nvcc('mute/bin', undefined)
    assert.deepEqual(found(dirname(mute)), { why: `${mute} does not run, ${help}` })
  })

  it('that does not work is told in a line', async () => {
    const cmake = [findTool('cmake'), join(projectRoot, '.venv/bin/cmake')].find((path) => path && existsSync(path))!
    const log = join(folder, 'log')
    const why = await buildCuda({
      root: projectRoot,
      folder: join(folder, 'build'),
      library: join(folder, 'libzslab_cuda.so'),
      log,
      nvcc: nvcc('broken/bin', '13.0.88'),
      cmake,
      compiler: findTool('c++')!,
      built: join(projectRoot, 'build/libzslab_static.a'),
      jobs: 1,
    })
    assert.ok(why !== undefined && !why.includes('\n') && why.endsWith(`(the whole output is in ${log})`), why)
    assert.match(why, /broken|nvcc/)
    assert.ok(!existsSync(join(folder, 'libzslab_cuda.so')))
  })
})
