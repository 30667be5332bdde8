/** The kernel's program: `install` makes it known to Jupyter, `start` is what Jupyter calls with a connection file. */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const USAGE = `usage: main.js install [--user | --prefix DIR | --sys-prefix] [--name NAME] [--display-name TEXT]
       main.js uninstall [--user | --prefix DIR | --sys-prefix] [--name NAME]
       main.js start CONNECTION_FILE`
const PLACE = {
  user: { type: 'boolean' },
  prefix: { type: 'string' },
  'sys-prefix': { type: 'boolean' },
  name: { type: 'string' },
} as const

async function main(words: string[]): Promise<void> {
  const [command, ...rest] = words
  if (command === 'install') {
    const { values } = parseArgs({ args: rest, options: { ...PLACE, 'display-name': { type: 'string' } } })
    const { install } = await import('./install.js')
    const options = { ...values, sysPrefix: values['sys-prefix'], displayName: values['display-name'] }
    const { folders, missing } = install(options, fileURLToPath(import.meta.url))
    console.log(folders.join('\n'))
    if (missing) console.error(missing)
  } else if (command === 'uninstall') {
    const { values } = parseArgs({ args: rest, options: PLACE })
    const { uninstall } = await import('./install.js')
    const { folders } = uninstall({ ...values, sysPrefix: values['sys-prefix'] })
    console.log(folders.join('\n') || 'nothing of the kernel was there')
  } else if (command === 'start') {
    const { positionals } = parseArgs({ args: rest, allowPositionals: true })
    if (positionals.length !== 1) throw new Error(`start takes one connection file but was given ${positionals.length}`)
    await start(positionals[0])
  } else if (command === '--help' || command === '-h') console.log(USAGE)
  else throw new Error(`unknown command ${JSON.stringify(command ?? '')}\n${USAGE}`)
}

async function start(file: string): Promise<void> {
  const { readConnection } = await import('./wire/connection.js')
  const connection = readConnection(file)
  const { CompilerProcess } = await import('./wire/compiler.js')
  const compiler = new CompilerProcess()
  compiler.start() // it takes longest: the sockets load beside it
  const { Server } = await import('./wire/server.js')
  const server = new Server(connection, compiler, () => process.exit())
  process.on('SIGINT', () => server.interrupt())
  process.on('SIGTERM', () => void server.shutdown())
  process.on('SIGHUP', () => void server.shutdown())
  endWithParent(() => void server.shutdown())
  await server.start()
}

/** Jupyter names the process that started the kernel: without it nobody would ever end the kernel. */
function endWithParent(ended: () => void): void {
  const parent = Number(process.env.JPY_PARENT_PID)
  if (!Number.isInteger(parent) || parent <= 1) return
  const first = process.ppid
  if (first !== parent) return // started through a wrapper
  const timer = setInterval(() => {
    if (process.ppid === first) return
    clearInterval(timer)
    ended()
  }, 1000)
  timer.unref()
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message)
  process.exit(2) // threads and the cell process may have begun
})
