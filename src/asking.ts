/** Asks a session's cache for something about some of its tokens: that they leave, stay or come back. */
import { ZslabError } from './errors.js'
import { invalid, options } from './expect.js'
import { givenTo } from './inspect/given.js'
import { spanOf, type SpanOptions } from './inspect/span.js'
import { broughtBack, checkRead, tokenAsked, tokenAt, type TokenAt, type TokenOf } from './interventions.js'
import { originsOf } from './native-cache.js'
import type { Call } from './native/call.js'
import type { Reading } from './reading.js'
import { tokensOf } from './trace/data.js'

/** One token by its `position`, or those of a piece of the text, as { text: 'needle' } or { from, to }; layers, kvHeads: default all. */
export interface TokensOf extends Partial<TokenOf>, SpanOptions {}

/** All of it is done, or nothing → in how many kv heads, of all the tokens. */
export function askTokens(
  reading: Reading,
  action: 'evict' | 'pin' | 'unevict',
  of: TokensOf,
  call: Call = {},
): Promise<number> {
  return reading.exclusively(async () => {
    const { lastStep: step } = reading
    const tokens = tokensAt(reading, action, of)
    // Whether they can come back is known before anything is read.
    if (action === 'unevict') for (const { position, heads } of tokens) await reading.cache.unevict(position, heads)
    const given = action === 'unevict' ? await givenTo(reading, tokens, call) : []
    const trial = tokens.length > 1 ? await reading.copied() : reading
    try {
      let heads = 0
      for (const [i, at] of tokens.entries()) {
        const said = await trial.intervene(
          action === 'unevict' ? broughtBack(step, at, given[i]) : tokenAsked(step, action, at),
        )
        heads += said.action === 'options' ? 0 : said.heads
      }
      if (action === 'unevict') checkBack(trial, tokens)
      if (trial !== reading) await reading.become(trial)
      return heads
    } finally {
      if (trial !== reading) trial.dispose()
    }
  })
}

/** Each has the score of who left for it, so that one may have been the next to leave for another. */
function checkBack({ cache }: Reading, tokens: readonly TokenAt[]): void {
  const { layers, kvHeads } = cache.options.shape
  for (let layer = 0; tokens.length > 1 && layer < layers; layer++) {
    const held = originsOf(cache.origins(layer))
    for (let kvHead = 0; kvHead < kvHeads; kvHead++)
      for (const { position, heads } of tokens)
        if (heads[layer * kvHeads + kvHead] && !held[kvHead].some((slot) => slot.includes(position)))
          throw new ZslabError(
            'invalid',
            `position ${position} would leave layer ${layer}, kv head ${kvHead} again for those that come back after it: bring them back one by one, and pin() each before the next`,
          )
  }
}

function tokensAt(reading: Reading, action: string, of: TokensOf): TokenAt[] {
  options(action, of, ['position', 'from', 'to', 'text', 'layers', 'kvHeads'])
  checkRead(reading.seqLen, `${action} a token`)
  const { position, from, to, text, ...where } = of ?? {}
  const given = [from, to, text].some((one) => one !== undefined)
  if (position !== undefined && given)
    throw invalid(
      'position',
      'no position beside text, from or to',
      position,
      'give either a position or a piece of the text',
    )
  if (!given) return [tokenAt(action, { ...where, position: position as number }, reading.cache)]
  const { seqLen, tokens } = reading
  const texts = tokensOf(reading.model.tokenizer, tokens, 0, seqLen).map((token) => token.text)
  const span = spanOf(texts, { from, to, text })
  return Array.from({ length: span.to - span.from }, (_, i) =>
    tokenAt(action, { ...where, position: span.from + i }, reading.cache),
  )
}
