/** How fast a model reads here: what hours a study will take is said from it. */
import { fullCache } from '../policies/index.js'
import type { LoadedModel } from '../loaded-model.js'
import type { Call } from '../native/call.js'
import { Reading } from '../reading.js'

const [PROMPT, STEPS] = [256, 8]

/** Tokens a second, read as a prompt and one by one, of a session by itself: in a study several share a step, which takes less. */
export async function speedOf(model: LoadedModel, { signal }: Call): Promise<{ read: number; steps: number }> {
  const { context, vocabulary } = model.description
  const prompt = Math.min(PROMPT, context - STEPS)
  const id = (i: number) => (i * 7919) % vocabulary
  const reading = Reading.create(model, { policy: fullCache() })
  try {
    const began = performance.now()
    await reading.feed(
      Int32Array.from({ length: prompt }, (_, i) => id(i)),
      { signal },
    )
    const between = performance.now()
    for (let i = 0; i < STEPS; i++) await reading.feed(Int32Array.of(id(prompt + i)), { signal })
    const ended = performance.now()
    return { read: (1000 * prompt) / (between - began), steps: (1000 * STEPS) / (ended - between) }
  } finally {
    reading.dispose()
  }
}
