/** Answers to questions as SQuAD's evaluation compares them (Rajpurkar et al. 2018, its version 2.0): without case, punctuation, articles and spaces. */
import { gramsShared } from './rouge.js'

/** What Python's re calls a word. */
const WORD = String.raw`[\p{L}\p{N}_]`
const ARTICLES = new RegExp(`(?<!${WORD})(a|an|the)(?!${WORD})`, 'gu')
/** What Python's split() splits at: four separators more than Unicode's white space. */
const SPACES = new RegExp(`[\\p{White_Space}${String.fromCharCode(0x1c)}-${String.fromCharCode(0x1f)}]+`, 'u')
const PUNCTUATION = /[!-/:-@[-`{-~]/g

const words = (text: string): string[] =>
  text.toLowerCase().replace(PUNCTUATION, '').replace(ARTICLES, ' ').split(SPACES).filter(Boolean)

/** 1 where both say the same. */
export const exact = (said: string, answer: string): number => Number(words(said).join(' ') === words(answer).join(' '))

/** F of the words that both have; where one has none, 1 if neither has. */
export function f1(said: string, answer: string): number {
  const [own, other] = [words(said), words(answer)]
  return own.length && other.length ? gramsShared(own, other) : Number(own.length === other.length)
}
