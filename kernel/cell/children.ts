/** The processes that cells started: those of the cell process's group. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { uptime } from 'node:os'

interface Listed {
  pid: number
  group: number
  /** In 1/100 s: on a clock of the machine's, or as the age. */
  started: number
}

/**
 * What the system counts as this process's age beyond what `process.uptime` does, in 1/100 s: node's start, long on a busy machine.
 * None where the machine's clock is another one, as in some containers.
 */
function headStart(started: number): number {
  const more = Math.round((uptime() - process.uptime()) * 100) - started
  return more > 0 && more < 1000 ? more : 0
}

/** Members of this process's group, itself left out, that started when it was `from` to `to` hundredths of a second old. */
export function processesStarted(from: number, to = Infinity): number[] {
  const known = existsSync('/proc/self/stat')
  const all = known ? fromProc() : fromPs()
  const slack = known ? 2 : 100 // how finely times are told there
  const self = all.find(({ pid }) => pid === process.pid)
  if (!self) return []
  const zero = self.started + (known ? headStart(self.started) : 0)
  const meant = ({ pid, group, started }: Listed) => {
    const at = started - zero
    return pid !== self.pid && group === self.pid && at >= from - slack && at <= to + slack
  }
  return all.filter(meant).map(({ pid }) => pid)
}

function fromProc(): Listed[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // pid (name) state parent group …: the name may hold anything. Times are in 1/100 s on every system that node runs on.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return [{ pid: Number(name), group: Number(fields[2]), started: Number(fields[19]) }]
    } catch {
      return [] // it ended meanwhile
    }
  })
}

/** Where there is no /proc (macOS). Ages there are whole seconds. */
function fromPs(): Listed[] {
  const { stdout } = spawnSync('ps', ['-axo', 'pid=,pgid=,etime='], { encoding: 'utf8' })
  return (stdout ?? '').split('\n').flatMap((line) => {
    const [pid, group, age] = line.trim().split(/\s+/)
    if (!age) return []
    const [seconds, minutes = 0, hours = 0, days = 0] = age.split(/[-:]/).reverse().map(Number)
    const lived = seconds + 60 * (minutes + 60 * (hours + 24 * days))
    return [{ pid: Number(pid), group: Number(group), started: -lived * 100 }]
  })
}
