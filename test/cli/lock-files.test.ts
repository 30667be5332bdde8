/** npm takes both lock files as they are, and every install script has been decided about, in one of their package.json. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../kernel/client.js'

interface Locked {
  version?: string
  os?: string[]
  link?: boolean
  hasInstallScript?: boolean
  optionalDependencies?: Record<string, string>
  dependencies?: Record<string, string>
}

const json = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as Record<string, unknown>

for (const folder of ['.', 'bench'])
  describe(`the lock file of ${folder === '.' ? 'the project' : folder}`, () => {
    const packages = json(join(folder, 'package-lock.json')).packages as Record<string, Locked>

    // npm 10 looks past those of other platforms; npm 11 refuses the whole file.
    it('holds all that its packages may need, on every platform', () => {
      const missing: string[] = []
      for (const [path, { dependencies, optionalDependencies, link }] of Object.entries(packages)) {
        if (link) continue
        for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
          if (!placesOf(path).some((place) => `${place}node_modules/${name}` in packages))
            missing.push(`${path} needs ${name}`)
      }
      assert.deepEqual(missing, [])
    })

    it('names no package with an install script that package.json has not decided about', () => {
      const decided = Object.keys((json(join(folder, 'package.json')).allowScripts ?? {}) as object).sort()
      const scripts = Object.entries(packages).filter(([path, { hasInstallScript }]) => path && hasInstallScript)
      const names = new Set(scripts.map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 13)))
      assert.deepEqual([...names].sort(), decided)
    })
  })

/** Where node looks for the packages of the one at `path`, nearest first. */
function placesOf(path: string): string[] {
  const places = [path && `${path}/`]
  for (let at = path; at; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/'))))
    places.push(at.includes('/node_modules/') ? `${at.slice(0, at.lastIndexOf('/node_modules/'))}/` : '')
  return places
}
