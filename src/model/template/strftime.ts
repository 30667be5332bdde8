/** datetime.strftime of Python in the C locale, for strftime_now: what it cannot do is named. */
import { Unsupported } from './values.js'

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October'],
  ...['November', 'December'],
]

/** `time` by the clock of the process's time zone (TZ), as datetime.now() has it. */
export function strftime(time: Date, format: string): string {
  const pad = (n: number, width = 2, fill = '0') => String(n).padStart(width, fill)
  const [year, month, day, weekday] = [time.getFullYear(), time.getMonth(), time.getDate(), time.getDay()]
  const hour = time.getHours()
  const yearDay = Math.round((Date.UTC(year, month, day) - Date.UTC(year, 0, 1)) / 86_400_000)
  const monday = (weekday + 6) % 7
  const parts: Record<string, () => string> = {
    a: () => DAYS[weekday].slice(0, 3),
    A: () => DAYS[weekday],
    b: () => MONTHS[month].slice(0, 3),
    B: () => MONTHS[month],
    c: () => strftime(time, '%a %b %e %H:%M:%S %Y'),
    C: () => pad(Math.floor(year / 100)),
    d: () => pad(day),
    D: () => strftime(time, '%m/%d/%y'),
    e: () => pad(day, 2, ' '),
    f: () => pad(time.getMilliseconds() * 1000, 6),
    F: () => strftime(time, '%Y-%m-%d'),
    h: () => MONTHS[month].slice(0, 3),
    H: () => pad(hour),
    I: () => pad(hour % 12 || 12),
    j: () => pad(yearDay + 1, 3),
    k: () => pad(hour, 2, ' '),
    l: () => pad(hour % 12 || 12, 2, ' '),
    m: () => pad(month + 1),
    M: () => pad(time.getMinutes()),
    n: () => '\n',
    p: () => (hour < 12 ? 'AM' : 'PM'),
    r: () => strftime(time, '%I:%M:%S %p'),
    R: () => strftime(time, '%H:%M'),
    S: () => pad(time.getSeconds()),
    t: () => '\t',
    T: () => strftime(time, '%H:%M:%S'),
    u: () => String(monday + 1),
    U: () => pad(Math.floor((yearDay + 7 - weekday) / 7)),
    w: () => String(weekday),
    W: () => pad(Math.floor((yearDay + 7 - monday) / 7)),
    x: () => strftime(time, '%m/%d/%y'),
    X: () => strftime(time, '%H:%M:%S'),
    y: () => pad(year % 100),
    Y: () => String(year),
    // datetime.now() has no zone of its own.
    z: () => '',
    Z: () => '',
    '%': () => '%',
  }
  return format.replace(/%(-?)(.?)/gs, (all, dash: string, letter: string) => {
    const part = Object.hasOwn(parts, letter) ? parts[letter]() : undefined
    if (part === undefined) throw new Unsupported(`${all} in strftime_now`)
    return dash ? part.replace(/^[0 ]+(?=\d)/, '') : part
  })
}
