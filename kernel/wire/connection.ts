/** The connection file that Jupyter writes for a kernel: read and checked. */
import { readFileSync } from 'node:fs'

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
}

const PORTS = ['shell_port', 'control_port', 'stdin_port', 'iopub_port', 'hb_port'] as const

export function readConnection(path: string): Connection {
  let value: Partial<Connection>
  try {
    value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Connection>
  } catch (error) {
    throw new Error(`cannot read the connection file ${JSON.stringify(path)}: ${(error as Error).message}`)
  }
  return checkConnection(value)
}

export function checkConnection(value: Partial<Connection>): Connection {
  const { transport = 'tcp', ip, key = '', signature_scheme = 'hmac-sha256' } = value
  if (transport !== 'tcp' && transport !== 'ipc')
    throw new Error(`the connection file has transport ${JSON.stringify(transport)}; expected "tcp" or "ipc"`)
  if (typeof ip !== 'string') throw new Error('the connection file has no "ip"')
  for (const name of PORTS)
    if (!Number.isInteger(value[name]))
      throw new Error(`the connection file has ${name} ${JSON.stringify(value[name])}; expected a port number`)
  return { ...(value as Connection), transport, ip, key, signature_scheme }
}

export function address(connection: Connection, port: (typeof PORTS)[number]): string {
  const { transport, ip } = connection
  return transport === 'ipc' ? `ipc://${ip}-${connection[port]}` : `tcp://${ip}:${connection[port]}`
}
