/** What of a plot's words stands in its picture, and what is left to the caption below it. */
import type { Plot } from './plot.js'
import type { Style } from './style.js'

type Where = Pick<Style, 'words'>

/** The plot as it is drawn. Panels keep the letters of their figures. */
export const pictured = (plot: Plot, { words }: Where): Plot =>
  words === 'inside' ? plot : { ...plot, title: '', detail: '', subject: '', notes: [] }

/** A caption draft: the summary, and what else a reader must know where the picture does not say it. */
export const captionOf = (summary: string, { subject, notes }: Plot, { words }: Where): string =>
  words === 'inside' ? summary : [summary, ...[subject, ...notes].filter(Boolean).map(ended)].join(' ')

const ended = (sentence: string) => (/[.!?…]$/.test(sentence) ? sentence : `${sentence}.`)
