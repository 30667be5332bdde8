/** Questions about a user's own texts, from JSONL; F1 and exact match as SQuAD's evaluation has them. */
import { ZslabError } from '../../errors.js'
import { invalid, object, options as checked } from '../../expect.js'
import type { ScoreName } from '../scores/index.js'
import type { Task } from '../task.js'
import type { Question } from './answering.js'
import { readRecords, words, wordsOf } from './jsonl.js'
import { recorded, RECORDED, type RecordedOptions } from './recorded.js'

/**
 * Lines of `file` have
 * - context: the text;
 * - question and answers (one string, or several that are each right), or questions: an array of { question, answers }, as many in each line;
 * - name (default: file and line) and cluster (default: the name), if you like.
 */
export interface QuestionsOptions extends RecordedOptions {
  /** The first is what the study is about; default ['f1', 'exact', 'contains']. */
  scores?: readonly ScoreName[]
}

/** Errors: 'invalid' naming the option, 'file' naming file and line of what is no such record. */
export function questions(options: QuestionsOptions): Task {
  checked('questions', options, ['scores', ...RECORDED])
  const records = readRecords(
    options.file,
    ['context', 'question', 'answers', 'questions', 'name', 'cluster'],
    (line) => ({
      ...(line.name !== undefined && { name: words('name', line.name) }),
      ...(line.cluster !== undefined && { cluster: words('cluster', line.cluster) }),
      context: words('context', line.context),
      questions: questionsOf(line),
    }),
  )
  const [first] = records
  const turns = first.questions.length
  const other = records.find((record) => record.questions.length !== turns)
  if (other)
    throw new ZslabError(
      'file',
      `${other.at} has ${other.questions.length} questions, but ${first.at} has ${turns}: give each line as many`,
    )
  const about = `questions about ${records.length} texts of one's own`
  const scores = options.scores ?? ['f1', 'exact', 'contains']
  return recorded({ call: 'questions', name: 'questions', about, tokens: 32, scores, turns }, options, records)
}

function questionsOf({ question, answers, questions: several }: Readonly<Record<string, unknown>>): Question[] {
  const one = (name: string, of: { question?: unknown; answers?: unknown }): Question => ({
    question: words(`${name}question`, of.question),
    answers: wordsOf(`${name}answers`, of.answers),
  })
  if (several === undefined) return [one('', { question, answers })]
  if (question !== undefined || answers !== undefined)
    throw invalid('questions', 'either questions, or question and answers', 'both')
  if (!Array.isArray(several) || !several.length) throw invalid('questions', 'an array of at least one', several)
  return several.map((of, i) => {
    const name = `questions[${i}]`
    return one(`${name}.`, checked(name, object(name, of), ['question', 'answers']))
  })
}
