/** Summaries of a user's own texts, from JSONL; ROUGE beside what others have written. */
import { options as checked } from '../../expect.js'
import type { ScoreName } from '../scores/index.js'
import type { Task } from '../task.js'
import { readRecords, words, wordsOf } from './jsonl.js'
import { recorded, RECORDED, type RecordedOptions } from './recorded.js'

/**
 * Lines of `file` have
 * - text;
 * - summary: one string, or several, of which the closest counts; of rougeLsum, sentences are lines;
 * - name (default: file and line) and cluster (default: the name), if you like.
 */
export interface SummariesOptions extends RecordedOptions {
  /** The first is what the study is about; default ['rougeL', 'rouge1', 'rouge2', 'rougeLsum']. */
  scores?: readonly ScoreName[]
}

const QUESTION = 'Summarize the text above in a few sentences.'

/** Errors: 'invalid' naming the option, 'file' naming file and line of what is no such record. */
export function summaries(options: SummariesOptions): Task {
  checked('summaries', options, ['scores', ...RECORDED])
  const records = readRecords(options.file, ['text', 'summary', 'name', 'cluster'], (line) => ({
    ...(line.name !== undefined && { name: words('name', line.name) }),
    ...(line.cluster !== undefined && { cluster: words('cluster', line.cluster) }),
    context: words('text', line.text),
    questions: [{ question: QUESTION, answers: wordsOf('summary', line.summary) }],
  }))
  const about = `summaries of ${records.length} texts of one's own`
  const scores = options.scores ?? ['rougeL', 'rouge1', 'rouge2', 'rougeLsum']
  return recorded({ call: 'summaries', name: 'summaries', about, tokens: 128, scores }, options, records)
}
