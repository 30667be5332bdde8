/** Answers under several policies side by side, after one reading of what they are about; the likeliest token each time. */
import type { LoadedModel } from './loaded-model.js'
import type { Asked } from './native-cache.js'
import type { Call, Progress } from './native/call.js'
import type { Storage } from './native/engine.js'
import type { Reading } from './reading.js'
import { argmax } from './sampling.js'
import { eachForks, feedTogether } from './side-forks.js'

export interface AnswerText {
  /** Read once, before the policies act. */
  ids: Int32Array
  /** Read after they have acted on it; may be empty. */
  then: Int32Array
  /** Of an answer, at most. */
  tokens: number
  storage: Storage
}

/**
 * put(i, answer, full, reading) for each of `asked` as it comes: token ids under it and under the full cache, without the one that ended them; `reading` has written it and lives
 * until put returns. Progress counts tokens: those of the prompt, and for the full cache and each choice `then` and `tokens`.
 */
export async function readAnswers(
  model: LoadedModel,
  { ids, then, tokens, storage }: AnswerText,
  asked: readonly Asked[],
  put: (choice: number, answer: readonly number[], full: readonly number[], reading: Reading) => void | Promise<void>,
  { signal, progress }: Call,
): Promise<void> {
  const each = then.length + tokens
  const total = ids.length + (asked.length + 1) * each
  const reading = { signal, progress: (fed: Progress) => progress?.({ done: fed.done, total }) }
  let before = ids.length
  let whole: readonly number[] = []
  await eachForks(model, { ids, storage }, asked, reading, async (from, forks, full) => {
    const all = full ? [...forks, full] : forks
    const share = (done: number) => progress?.({ done: before + done * all.length, total })
    const answers = await written(all, then, tokens, { signal, progress: share })
    if (full) whole = answers[forks.length]
    before += each * all.length
    for (const [i, fork] of forks.entries()) await put(from + i, answers[i], whole, fork)
  })
}

/** What each of them writes after `then`. Progress: tokens of one of them. */
async function written(
  readings: readonly Reading[],
  then: Int32Array,
  tokens: number,
  { signal, progress }: Pick<Call, 'signal'> & { progress(done: number): void | Promise<void> | undefined },
): Promise<number[][]> {
  const { tokenizer } = readings[0].model
  const answers = readings.map((): number[] => [])
  const feed = (of: readonly number[], ids: (reading: number) => Int32Array) =>
    feedTogether(
      of.map((i) => readings[i]),
      (i) => ids(of[i]),
      signal,
    )
  let going = readings.map((_, i) => i)
  if (then.length) await feed(going, () => then)
  for (let at = 0; at < tokens; at++) {
    await progress(then.length + at)
    going = going.filter((i) => {
      const id = argmax(readings[i].lastLogits())
      if (tokenizer.ends.has(id) || readings[i].full) return false
      answers[i].push(id)
      return true
    })
    if (!going.length) break
    // What the last one says nobody asks.
    if (at + 1 < tokens) await feed(going, (i) => Int32Array.of(answers[i][at]))
  }
  await progress(then.length + tokens)
  return answers
}
