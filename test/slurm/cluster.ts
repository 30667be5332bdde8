/** A cluster of one node on this machine: Slurm's real daemons on loopback, with keys, sockets and folders of their own, and stopped by whoever started them. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { availableParallelism, hostname, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const DAEMONS = ['munged', 'slurmctld', 'slurmd']
const find = (name: string) =>
  spawnSync('which', [name], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  }).stdout.trim()

/** Why there can be none here; undefined: there can. */
export function noCluster(): string | undefined {
  const missing = DAEMONS.filter((name) => !find(name))
  if (missing.length) return `${missing.join(', ')} not found`
  return userInfo().uid === 0 ? undefined : 'its daemons need root'
}

export class Cluster {
  private readonly running = new Map<string, ChildProcess>()

  private constructor(
    private readonly folder: string,
    /** For Slurm's commands: the variable SLURM_CONF. */
    readonly conf: string,
  ) {}

  /** In `folder`, which is empty; its node is idle then. */
  static async start(folder: string): Promise<Cluster> {
    const cluster = new Cluster(folder, join(folder, 'slurm.conf'))
    for (const name of ['state', 'spool']) mkdirSync(join(folder, name))
    const [controller, node] = await freePorts(2)
    writeFileSync(join(folder, 'munge.key'), randomBytes(128), { mode: 0o600 })
    writeFileSync(cluster.conf, confOf(folder, controller, node))
    try {
      await cluster.munge()
      cluster.daemon('slurmctld', '-D', '-f', cluster.conf)
      cluster.node()
      await cluster.until('idle')
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  private async munge(): Promise<void> {
    const of = (name: string) => join(this.folder, name)
    this.daemon(
      'munged',
      '--foreground',
      '--force',
      `--socket=${of('munge.socket')}`,
      `--key-file=${of('munge.key')}`,
      `--pid-file=${of('munge.pid')}`,
      `--seed-file=${of('munge.seed')}`,
      `--log-file=${of('munge.log')}`,
    )
    while (spawnSync('munge', ['-n', '-S', of('munge.socket')]).status !== 0) await this.soon('munged')
  }

  /** slurmd. */
  node(): void {
    this.daemon('slurmd', '-D', '-f', this.conf)
  }

  /** At once, as when a machine goes down. */
  async killNode(): Promise<void> {
    await this.end('slurmd', 'SIGKILL')
  }

  /** Waits until sinfo says so of the node. */
  async until(state: string): Promise<void> {
    while (!this.say('sinfo', '--noheader', '--format=%T').includes(state)) await this.soon('slurmctld')
  }

  /** What a command of Slurm's says; '' where it fails. */
  say(command: string, ...words: string[]): string {
    return spawnSync(command, words, { encoding: 'utf8', env: { ...process.env, SLURM_CONF: this.conf } }).stdout.trim()
  }

  async stop(): Promise<void> {
    this.say('scancel', '--user=root')
    for (const name of [...DAEMONS].reverse()) await this.end(name, name === 'munged' ? 'SIGTERM' : 'SIGKILL')
  }

  private daemon(name: string, ...words: string[]): void {
    const child = spawn(find(name), words, { stdio: 'ignore', env: { ...process.env, SLURM_CONF: this.conf } })
    this.running.set(name, child)
  }

  private async end(name: string, how: NodeJS.Signals): Promise<void> {
    const child = this.running.get(name)
    this.running.delete(name)
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'exit')
    child.kill(how)
    await closed
  }

  private async soon(name: string): Promise<void> {
    const child = this.running.get(name)
    if (child && child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: see ${this.folder}`)
    await sleep(100)
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

function confOf(folder: string, controller: number, node: number): string {
  const host = hostname().split('.')[0]
  const of = (name: string) => join(folder, name)
  return [
    'ClusterName=zslab',
    `SlurmctldHost=${host}(127.0.0.1)`,
    'SlurmUser=root',
    'SlurmdUser=root',
    `SlurmctldPort=${controller}`,
    `SlurmdPort=${node}`,
    // Credentials end soon: a task of a node that went down may run again after 6 seconds, else after 121.
    'AuthType=auth/munge',
    `AuthInfo=socket=${of('munge.socket')},cred_expire=5`,
    'CredType=cred/munge',
    `StateSaveLocation=${of('state')}`,
    `SlurmdSpoolDir=${of('spool')}`,
    `SlurmctldPidFile=${of('slurmctld.pid')}`,
    `SlurmdPidFile=${of('slurmd.pid')}`,
    `SlurmctldLogFile=${of('slurmctld.log')}`,
    `SlurmdLogFile=${of('slurmd.log')}`,
    // No cgroups, no accounting, no MPI.
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'JobAcctGatherType=jobacct_gather/none',
    'AccountingStorageType=accounting_storage/none',
    'MpiDefault=none',
    'SwitchType=switch/none',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_CPU',
    // A node that is back takes work at once, and one that is gone is down soon.
    'ReturnToService=2',
    'SlurmdTimeout=10',
    'MessageTimeout=5',
    'KillWait=2',
    'SchedulerType=sched/backfill',
    'SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,requeue_delay=1',
    `NodeName=${host} NodeAddr=127.0.0.1 CPUs=${availableParallelism()} State=UNKNOWN`,
    'PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP',
    '',
  ].join('\n')
}
