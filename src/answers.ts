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
  /** Read after they have acted on it, and each then answered; an empty one asks nothing more. At least one. */
  asks: readonly Int32Array[]
  /** 'session': an ask goes on after the one before, without its answer; 'requests': each after `ids` alone. */
  mode: 'session' | 'requests'
  /** Of an answer, at most. */
  tokens: number
  storage: Storage
}

/** Of each ask, the token ids of what was answered, without the one that ended it. */
export type Answers = readonly (readonly number[])[]

/**
 * put(i, answers, full, reading) for each of `asked` as it comes: those under it and under the full cache; `reading` has written the last answer and
 * lives until put returns. Progress counts tokens: those of the prompt, and for the full cache and each choice those of every ask and `tokens` for it.
 */
export async function readAnswers(
  model: LoadedModel,
  { ids, asks, mode, tokens, storage }: AnswerText,
  asked: readonly Asked[],
  put: (choice: number, answers: Answers, full: Answers, reading: Reading) => void | Promise<void>,
  { signal, progress }: Call,
): Promise<void> {
  const each = asks.reduce((sum, ask) => sum + ask.length + tokens, 0)
  const total = ids.length + (asked.length + 1) * each
  const reading = { signal, progress: (fed: Progress) => progress?.({ done: fed.done, total }) }
  let before = ids.length
  let whole: Answers = []
  await eachForks(model, { ids, storage }, asked, reading, async (from, forks, full) => {
    const all = full ? [...forks, full] : forks
    const answers = all.map((): (readonly number[])[] => [])
    const share = (own: number) => progress?.({ done: before + own * all.length, total })
    let own = 0
    const read = async (readings: readonly Reading[], ask: Int32Array) => {
      if (ask.length) await feedTogether(readings, () => ask, signal)
      await share((own += ask.length))
    }
    for (const [at, ask] of asks.entries()) {
      if (mode === 'session') await read(all, ask)
      // What one says is no part of what the next is asked after.
      const writers = at + 1 < asks.length ? await copiesOf(all) : all
      try {
        if (mode === 'requests') await read(writers, ask)
        const said = await written(writers, tokens, { signal, progress: (done) => share(own + done) })
        answers.forEach((of, i) => of.push(said[i]))
        own += tokens
      } finally {
        if (writers !== all) for (const writer of writers) writer.dispose()
      }
    }
    if (full) whole = answers[forks.length]
    before += each * all.length
    for (const [i, fork] of forks.entries()) await put(from + i, answers[i], whole, fork)
  })
}

async function copiesOf(readings: readonly Reading[]): Promise<Reading[]> {
  const copies: Reading[] = []
  try {
    for (const reading of readings) copies.push(await reading.copied())
    return copies
  } catch (error) {
    for (const copy of copies) copy.dispose()
    throw error
  }
}

/** What each of them writes. Progress: tokens of one of them. */
async function written(
  readings: readonly Reading[],
  tokens: number,
  { signal, progress }: Pick<Call, 'signal'> & { progress(done: number): void | Promise<void> | undefined },
): Promise<number[][]> {
  const { tokenizer } = readings[0].model
  const answers = readings.map((): number[] => [])
  let going = readings.map((_, i) => i)
  for (let at = 0; at < tokens; at++) {
    await progress(at)
    going = going.filter((i) => {
      const id = argmax(readings[i].lastLogits())
      if (tokenizer.ends.has(id) || readings[i].full) return false
      answers[i].push(id)
      return true
    })
    if (!going.length) break
    // What the last one says nobody asks.
    if (at + 1 < tokens)
      await feedTogether(
        going.map((i) => readings[i]),
        (i) => Int32Array.of(answers[going[i]][at]),
        signal,
      )
  }
  await progress(tokens)
  return answers
}
