/** Hostile messages: seeded, with and without valid signatures, for every socket of a kernel. */
import type { Codec } from '../../../kernel/wire/message.js'

export type Draw = (below: number) => number

const ID = Buffer.from('<IDS|MSG>')

/** Contents as front ends send them, one for each type that the kernel knows, and types that it does not. */
const CONTENTS: Record<string, object> = {
  kernel_info_request: {},
  execute_request: { code: '1', silent: false, store_history: true, user_expressions: {}, stop_on_error: false },
  is_complete_request: { code: 'const a = [' },
  complete_request: { code: 'Math.', cursor_pos: 5 },
  inspect_request: { code: 'Math', cursor_pos: 2, detail_level: 1 },
  history_request: {
    hist_access_type: 'search',
    output: true,
    raw: true,
    session: 0,
    start: 0,
    stop: 9,
    n: 3,
    pattern: '*',
    unique: true,
  },
  comm_info_request: { target_name: 't' },
  comm_open: { comm_id: 'c', target_name: 't', data: {} },
  comm_msg: { comm_id: 'c', data: {} },
  comm_close: { comm_id: 'c', data: {} },
  interrupt_request: {},
  create_subshell_request: {},
  delete_subshell_request: { subshell_id: 's' },
  list_subshell_request: {},
  input_reply: { value: 'v' },
  debug_request: { type: 'request', command: 'initialize', arguments: {} },
  status: { execution_state: 'idle' },
  __proto__x: {},
  constructor: {},
  '': {},
}
export const TYPES = Object.keys(CONTENTS)

const NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'then',
  'length',
  '',
  '\u0000',
  'é🙂\ud800',
  'a b',
]
const WORDS =
  'let x = ( ) { } [ ] `${ } ` " \' / * // ? . @ # async await => class <T> ; \n \\ 🙂 \ud800 1e9 _ ...'.split(' ')

/** JSON text of a value that nobody expects. */
function odd(draw: Draw): string {
  const name = NAMES[draw(NAMES.length)]
  const of: (() => string)[] = [
    () => ['null', 'true', 'false', '0', '-1', '1e308', '-1e308', '0.5', '9007199254740993', '-0'][draw(10)],
    () => JSON.stringify(name),
    () => JSON.stringify(text(draw)),
    () => JSON.stringify('long '.repeat(1 + draw(2000))),
    () => '[]',
    () => '{}',
    () => `{${JSON.stringify(name)}:${odd(draw)}}`,
    () => `{"toString":${odd(draw)},"valueOf":1,"toJSON":"no","length":-1}`,
    () => `[${odd(draw)},${odd(draw)}]`,
    () => nested(1 + draw(480)),
  ]
  return of[draw(of.length)]()
}

function nested(levels: number): string {
  return '{"a":['.repeat(levels / 2) + ']}'.repeat(levels / 2) || '[]'
}

function text(draw: Draw): string {
  return Array.from({ length: draw(9) }, () => WORDS[draw(WORDS.length)]).join(draw(2) ? ' ' : '')
}

/** Code whose compiling is hard, and whose running is not. */
function code(draw: Draw): string {
  const of = [
    () => text(draw),
    () => '('.repeat(1 + draw(3000)),
    () => '\n'.repeat(draw(20_000)),
    () => `${'a'.repeat(draw(20_000))}?`,
    () => `"${'\\u'.repeat(draw(50))}`,
    () => 'console.log(1)',
    () => 'throw null',
  ]
  return of[draw(of.length)]()
}

/** The members of `given` as JSON text, some of them missing, of another kind, or new. */
function mutated(given: object, draw: Draw, keep: readonly string[] = []): string {
  const members = Object.entries(given).map(([name, value]): [string, string | undefined] => {
    const as = draw(4)
    if (keep.includes(name) || as > 1) return [name, JSON.stringify(value)]
    if (as === 0) return [name, undefined]
    return [name, name === 'code' && draw(3) ? JSON.stringify(code(draw)) : odd(draw)]
  })
  while (draw(3) === 0) members.push([NAMES[draw(NAMES.length)], odd(draw)])
  return `{${members.flatMap(([name, value]) => (value === undefined ? [] : [`${JSON.stringify(name)}:${value}`])).join()}}`
}

/** The frames of a message with a valid signature and fields of any kind. */
export function wellSigned(codec: Codec, draw: Draw, type = TYPES[draw(TYPES.length)]): Buffer[] {
  const header = { ...codec.header(type), subshell_id: null }
  const keep = draw(20) ? ['msg_id', 'msg_type', ...(draw(4) ? ['subshell_id'] : [])] : []
  const parts = [
    mutated(header, draw, keep),
    draw(2) ? '{}' : mutated(codec.header('execute_request'), draw),
    draw(2) ? '{}' : mutated({ a: 1 }, draw),
    mutated(CONTENTS[type], draw),
  ]
  const buffers = draw(10) ? [] : Array.from({ length: draw(50) }, () => Buffer.alloc(draw(1000), draw(256)))
  return signed(codec, parts.map((part) => Buffer.from(part)), buffers) // prettier-ignore
}

/** The frames of four parts that need be no messages, signed. */
function signed(codec: Codec, parts: Buffer[], buffers: Buffer[] = []): Buffer[] {
  return [ID, Buffer.from(codec.sign(parts)), ...parts, ...buffers]
}

/** Frames that are no message: broken before, in or behind what is signed. */
export function malformed(codec: Codec, draw: Draw): Buffer[] {
  const good = codec.pack(codec.make(draw(2) ? 'shutdown_request' : 'execute_request', { code: 'process.exit()' }))
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => draw(256)))
  const parts = good.slice(2)
  const harmless = codec.pack(codec.make('is_complete_request', { code: '1' })).slice(2)
  const at = draw(4)
  const withPart = (part: Buffer) => signed(codec, harmless.map((one, i) => (i === at ? part : one))) // prettier-ignore
  const of: (() => Buffer[])[] = [
    () => Array.from({ length: 1 + draw(8) }, () => bytes(draw(200))), // nothing of a message
    () => good.slice(0, 1 + draw(5)), // truncated
    () => good.slice(1), // no delimiter
    () => [good[0], bytes(draw(65)), ...parts], // a signature that is none
    () => [good[0], Buffer.from(good[1].toString().toUpperCase()), ...parts],
    () => [good[0], Buffer.alloc(0), ...parts],
    () => good.map((part, i) => (i === 2 + at ? Buffer.concat([part, Buffer.from(' ')]) : part)), // changed after it was signed
    () => [...Array.from({ length: 1 + draw(2000) }, () => bytes(draw(3))), ...signed(codec, harmless)], // many frames before it
    () => [...good.slice(0, 5), ...Array.from({ length: draw(2000) }, () => Buffer.alloc(1))],
    () => Array.from({ length: 1 + draw(50) }, () => ID),
    () => [good[0], good[1], Buffer.alloc(draw(50) ? 10_000 : 8_000_000, 0x5b), ...parts.slice(1)], // huge
    () => withPart(bytes(1 + draw(100))), // signed, but no JSON
    () => withPart(Buffer.from(['[]', 'null', '5', '"text"', '', '{"a":1}{', '{"a":'][draw(7)])),
    () => withPart(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')])),
    () => withPart(Buffer.from(`{"a":${'['.repeat(600 + draw(100_000))}`)),
    () => withPart(Buffer.from(`{"msg_id":"1","msg_type":"status","a":${nested(1200)}}`)),
    () => withPart(Buffer.from(JSON.stringify({ msg_id: 'x'.repeat(100_000), msg_type: 'status' }))),
  ]
  const made = of[draw(of.length)]()
  return made.some((frame) => frame.length > 0) ? made : [Buffer.from('0')]
}

/** What a subscriber may send upstream: subscriptions of any bytes, their ends, and what is neither. */
export function upstream(draw: Draw): Buffer[] {
  const topic = Buffer.from(Array.from({ length: draw(40) }, () => draw(256)))
  const kind = draw(5)
  if (kind < 3) return [Buffer.concat([Buffer.from([kind]), topic])]
  return kind === 3 ? [topic] : [topic, topic, Buffer.alloc(draw(2000))]
}

/** Bytes that do not speak ZeroMQ's protocol, or begin to and then promise frames that never come. */
export function bytesOnPort(draw: Draw): Buffer {
  const greeting = Buffer.alloc(64)
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0])
  greeting.write('NULL', 12)
  const property = Buffer.from('\u000bSocket-Type\0\0\0\u0006DEALER')
  const ready = Buffer.concat([Buffer.from([4, 6 + property.length]), Buffer.from('\u0005READY'), property])
  const long = Buffer.alloc(9)
  long[0] = 2
  long.writeBigUInt64BE([1n << 62n, 1n << 40n, 300n << 20n, (1n << 64n) - 1n][draw(4)], 1)
  const noise = Buffer.from(Array.from({ length: draw(300) }, () => draw(256)))
  const of = [
    [noise],
    [greeting.subarray(0, draw(64))],
    [greeting, noise],
    [greeting, ready, noise],
    [greeting, ready, long, noise],
  ]
  return Buffer.concat(of[draw(of.length)])
}
