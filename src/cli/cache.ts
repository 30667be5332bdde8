/** `npx zslab cache list | clear`: what the model cache holds, models and packed weights, and removing it. */
import { Command } from 'commander'
import { cacheClear, cacheList, type CachedModel, type PackedWeights } from '../model/sources.js'

export function cacheCommand(): Command {
  const cache = new Command('cache').description(
    'models kept on this machine (folder: ZSLAB_CACHE, else XDG_CACHE_HOME/zslab, else ~/.cache/zslab)',
  )
  cache
    .command('list')
    .description('name, size and path of each model, and of the packed weights of models that were loaded')
    .option(
      '--json',
      'one object on stdout: folder, models [{ name, path, bytes }], packed [{ model, path, bytes }], leftoverBytes',
    )
    .action(async ({ json }: { json?: boolean }) => {
      const found = await cacheList()
      if (json) return print(JSON.stringify(found, null, 2))
      print(found.models.length ? table(found.models) : `no models in ${found.folder}`)
      if (found.packed.length) print(table(found.packed.map(named)))
      if (found.leftoverBytes)
        print(
          `${size(found.leftoverBytes)} of interrupted downloads and loads; the next one, or 'cache clear', removes them`,
        )
    })
  cache
    .command('clear')
    .description('remove every model and all packed weights; the next use fetches and packs them again')
    .option(
      '--json',
      'one object on stdout: folder, removed [{ name, path, bytes }], packed [{ model, path, bytes }], bytes',
    )
    .action(async ({ json }: { json?: boolean }) => {
      const done = await cacheClear()
      if (json) return print(JSON.stringify(done, null, 2))
      const all = [...done.removed, ...done.packed.map(named)]
      if (all.length) print(table(all))
      print(`${size(done.bytes)} removed from ${done.folder}`)
    })
  return cache
}

const print = (text: string) => void process.stdout.write(text + '\n')

const named = ({ model, path, bytes }: PackedWeights): CachedModel => {
  return { name: `packed weights of ${model ?? 'a model not known any more'}`, path, bytes }
}

/** MB = 10⁶ bytes. */
const size = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

function table(models: CachedModel[]): string {
  const width = Math.max(...models.map((m) => m.name.length))
  return models.map((m) => `${m.name.padEnd(width)}  ${size(m.bytes).padStart(10)}  ${m.path}`).join('\n')
}
