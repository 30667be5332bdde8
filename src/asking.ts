/** Asks a session's cache for something about one of its tokens: that it leaves, stays or comes back. */
import { givenTo } from './inspect/given.js'
import { broughtBack, tokenAsked, tokenAt, type Asked, type TokenOf } from './interventions.js'
import type { Call } from './native/call.js'
import type { Reading } from './reading.js'

/** → in how many kv heads it was done. */
export function askToken(
  reading: Reading,
  action: 'evict' | 'pin' | 'unevict',
  token: TokenOf,
  call: Call = {},
): Promise<number> {
  return reading.exclusively(async () => {
    const { cache, lastStep: step } = reading
    const at = tokenAt(action, token, cache)
    let asked: Asked
    if (action === 'unevict') {
      // Whether it can be done is known before anything is read.
      await cache.unevict(at.position, at.heads)
      asked = broughtBack(step, at, await givenTo(reading, at, call))
    } else asked = tokenAsked(step, action, at)
    const said = await reading.intervene(asked)
    return said.action === 'options' ? 0 : said.heads
  })
}
