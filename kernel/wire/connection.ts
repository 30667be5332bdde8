/** The connection file that Jupyter writes for a kernel: read and checked. */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'

export interface Connection {
  transport: 'tcp' | 'ipc'
  ip: string
  shell_port: number
  control_port: number
  stdin_port: number
  iopub_port: number
  hb_port: number
  key: string
  signature_scheme: string
  /** The kernel's own pair for CurveZMQ, in Z85. Absent: nothing is encrypted. */
  curve_publickey?: string
  curve_secretkey?: string
}

/** Rights of the group and of everybody else. */
const OTHERS = 0o066

const PORTS = ['shell_port', 'control_port', 'stdin_port', 'iopub_port', 'hb_port'] as const

/** `warn` is told where others than the user may read the file, and with it the key that lets them run code. */
export function readConnection(path: string, warn: (line: string) => void = console.error): Connection {
  let value: unknown
  try {
    const file = openSync(path, 'r')
    try {
      const { mode } = fstatSync(file)
      if ((mode & OTHERS) !== 0)
        warn(`other users may open the connection file ${path} and so run code in this kernel: chmod 600 ${path}`)
      value = JSON.parse(readFileSync(file, 'utf8'))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw new Error(`cannot read the connection file ${JSON.stringify(path)}: ${(error as Error).message}`)
  }
  return checkConnection(value as Partial<Connection>)
}

const CURVE = ['curve_publickey', 'curve_secretkey'] as const
/** 32 bytes in Z85. */
const CURVE_KEY = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/

export function checkConnection(value: Partial<Connection>): Connection {
  const wrong = (name: string, given: unknown, expected: string) =>
    new Error(`the connection file has ${name} ${JSON.stringify(given)}; expected ${expected}`)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`the connection file holds ${JSON.stringify(value)?.slice(0, 80)}; expected a JSON object`)
  const { transport = 'tcp', ip, key = '', signature_scheme = 'hmac-sha256' } = value
  if (transport !== 'tcp' && transport !== 'ipc') throw wrong('transport', transport, '"tcp" or "ipc"')
  if (typeof ip !== 'string' || ip === '')
    throw wrong('ip', ip, transport === 'tcp' ? 'the address to listen at' : 'the beginning of socket paths')
  for (const name of PORTS) {
    const port: unknown = value[name]
    if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65535)
      throw wrong(name, port, 'a port number')
  }
  if (typeof key !== 'string') throw wrong('key', key, 'a string')
  if (signature_scheme !== 'hmac-sha256') throw wrong('signature_scheme', signature_scheme, '"hmac-sha256"')
  const wanted = CURVE.some((name) => value[name] !== undefined && value[name] !== null)
  const halfway = CURVE.find((name) => typeof value[name] !== 'string' || !CURVE_KEY.test(value[name]))
  if (wanted && halfway)
    // not quoted: it is secret. Without it the kernel would talk in plain text where somebody asked for more.
    throw new Error(
      `the connection file's ${halfway} is no key; expected 40 characters of Z85, or none of ${CURVE.join(' and ')}`,
    )
  return { ...(value as Connection), transport, ip, key, signature_scheme }
}

/** What makes a socket of the kernel take encrypted connections only, from who knows its public key. */
export function encryption({ curve_publickey, curve_secretkey }: Connection) {
  if (!curve_publickey || !curve_secretkey) return {}
  return { curveServer: true, curvePublicKey: curve_publickey, curveSecretKey: curve_secretkey }
}

export function address(connection: Connection, port: (typeof PORTS)[number]): string {
  const { transport, ip } = connection
  if (transport === 'ipc') return `ipc://${ip}-${connection[port]}`
  const host = ip.includes(':') && !ip.startsWith('[') ? `[${ip}]` : ip
  return `tcp://${host}:${connection[port]}`
}
