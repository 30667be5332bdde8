/** `npx zslab cache list | clear`: what the model cache holds, and removing it. */
import { Command } from 'commander'
import { cacheClear, cacheList, type CachedModel } from '../model/sources.js'

export function cacheCommand(): Command {
  const cache = new Command('cache').description(
    'models kept on this machine (folder: ZSLAB_CACHE, else XDG_CACHE_HOME/zslab, else ~/.cache/zslab)',
  )
  cache
    .command('list')
    .description('name, size and path of each model')
    .option('--json', 'one object on stdout: folder, models [{ name, path, bytes }], leftoverBytes')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await cacheList()
      if (json) return print(JSON.stringify(found, null, 2))
      print(found.models.length ? table(found.models) : `no models in ${found.folder}`)
      if (found.leftoverBytes)
        print(
          `${size(found.leftoverBytes)} of interrupted downloads; the next download, or 'cache clear', removes them`,
        )
    })
  cache
    .command('clear')
    .description('remove every model; the next use fetches it again')
    .option('--json', 'one object on stdout: folder, removed [{ name, path, bytes }], bytes')
    .action(async ({ json }: { json?: boolean }) => {
      const done = await cacheClear()
      if (json) return print(JSON.stringify(done, null, 2))
      if (done.removed.length) print(table(done.removed))
      print(`${size(done.bytes)} removed from ${done.folder}`)
    })
  return cache
}

const print = (text: string) => void process.stdout.write(text + '\n')

/** MB = 10⁶ bytes. */
const size = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

function table(models: CachedModel[]): string {
  const width = Math.max(...models.map((m) => m.name.length))
  return models.map((m) => `${m.name.padEnd(width)}  ${size(m.bytes).padStart(10)}  ${m.path}`).join('\n')
}
