/** All that a session's cache has done so far as a trace: session.trace. */
import { ZslabError } from '../errors.js'
import type { Reading } from '../reading.js'
import { madeBy, Recipe } from '../recipe/recipe.js'
import { cardOf } from './card.js'
import { scoreRows } from '../inspect/scores.js'
import { headVectors } from '../inspect/vectors.js'
import { alphaOf, dataOf } from './data.js'
import { Trace } from './events.js'
import type { TraceOf } from './files/facts.js'
import type { TapeBytes } from './memory.js'
import { sessionRecipe } from './recipes.js'
import { recordedOf } from './recorded.js'

/** Of the session, once `tokens` further tokens have come: at most, and exactly where that is none. */
export function tapeBytesOf({ cache, current, model }: Reading, tokens = 0): TapeBytes {
  return { ...cache.tapeBytes(tokens), given: current.room?.after(model.description, tokens) ?? 0 }
}

/** As of now: what the session does later is not in it. */
export function traceOf(reading: Reading): Trace {
  const { cache, log, policy } = reading.current
  const { model } = reading
  const resolved = cache.resolved()
  const facts = { model, policy: reading.policy, alpha: alphaOf(policy), log: [...log], resolved }
  const events = reading.trace.events ? cache.events() : undefined
  const { layers } = model.description
  const { seqLen } = reading
  const origins = Array.from({ length: resolved ? layers : 0 }, (_, layer) => cache.origins(layer))
  const [receipt, bytes] = [reading.receipt(), cache.bytes()]
  let card = model.file.hash === undefined ? undefined : cardOf(reading, resolved)
  const output = { ids: [], texts: [], logprobs: new Float64Array(0) }
  const of = (): TraceOf => ({
    get card() {
      return (card ??= cardOf(reading, resolved))
    },
    receipt,
    ready: () => model.file.sha256(),
    recorded: recordedOf(reading.trace, model.description, reading.policy),
    calls: facts.log.map(({ ids }) => ids.length),
    vectors: (of) => headVectors(cache, of, seqLen),
    scoreRows: (of) => scoreRows(cache, of, seqLen),
    data() {
      if (!resolved)
        throw new ZslabError('invalid', 'this session has read nothing, so there is nothing to draw: prefill a prompt')
      return dataOf({ ...facts, resolved, events, origins, bytes, firstEvent: 0, output, read: seqLen })
    },
  })
  const session = sessionRecipe(reading, facts.log)
  return madeBy(new Trace(events, of, 0, tapeBytesOf(reading)), Recipe.of('trace', [], { on: session }))
}
