/** What the compiler complains about, as one error that a notebook shows. */
import { excerpt, red } from '../cell/errors.js'
import type { ErrorContent } from '../cell/protocol.js'
import type { Complaint } from './compile.js'

export function complaintContent(complaints: readonly Complaint[], source: string, label: string): ErrorContent {
  const [first] = complaints
  const where = (c: Complaint) => `${c.file ?? label}:${c.start.line + 1}:${c.start.column + 1}`
  const evalue = `${where(first)} - ${first.message}`
  const shown = complaints.slice(0, 10)
  const traceback = shown.flatMap((c) => [
    `${red('TypeScript')} ${where(c)} - ${c.message}`,
    ...(c.file === undefined ? excerpt(source, c.start, c.end) : []),
  ])
  if (complaints.length > shown.length) traceback.push(`… and ${complaints.length - shown.length} more`)
  return { ename: 'TypeScriptError', evalue, traceback: traceback.flatMap((line) => line.split('\n')) }
}
